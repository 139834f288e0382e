"""What `drawing.py` draws with: shapes with soft edges, lines, cloth and glass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.ports import Rgb

Floats = NDArray[np.float64]
Random = np.random.Generator
Colour = tuple[int, int, int]

MASK_COLOURS: tuple[Colour, ...] = (
    (245, 245, 245), (235, 240, 245), (150, 195, 220), (120, 175, 190), (25, 25, 28), (50, 50, 55),
    (90, 90, 95), (35, 45, 80), (225, 170, 180), (205, 185, 160), (150, 40, 45),
)  # fmt: skip
ANY_COLOURS: tuple[Colour, ...] = (*MASK_COLOURS, (120, 90, 60), (60, 90, 60), (180, 150, 60))
RIM_COLOURS: tuple[Colour, ...] = ((15, 15, 15), (70, 45, 30), (150, 140, 120), (190, 170, 90), (120, 20, 30))
_SHADES: tuple[Colour, ...] = ((12, 12, 14), (25, 22, 20), (50, 32, 20), (30, 40, 35), (35, 35, 60))
_MIRRORS: tuple[Colour, ...] = (
    (200, 110, 30), (60, 120, 190), (170, 160, 60), (150, 90, 150), (190, 190, 195), (110, 130, 80),
)  # fmt: skip


def paint(rgb: Rgb, sheet: Rgb, outline: Floats, opacity: float) -> Rgb:
    """A copy with ``sheet`` inside the outline, (n, 2) points; soft edges, ``opacity`` 0..1."""
    inside = np.zeros(rgb.shape[:2], dtype=np.uint8)
    cv2.fillPoly(inside, [np.round(outline * 8).astype(np.int32)], (255,), cv2.LINE_AA, 3)
    alpha = (np.asarray(cv2.GaussianBlur(inside, (3, 3), 0)) * (opacity / 255))[:, :, None]
    return clipped(rgb * (1 - alpha) + sheet * alpha)


def line(image: Rgb, start: ArrayLike, end: ArrayLike, colour: Sequence[float], width: float) -> None:
    """A line drawn into ``image``, at least one pixel wide."""
    cv2.line(image, pixel(start), pixel(end), tuple(colour), max(1, round(width)), cv2.LINE_AA)


def finger(rgb: Rgb, root: Floats, tip: Floats, colour: Floats, width: float) -> Rgb:
    """A copy with a thick round line that is darker at its edges."""
    rgb = rgb.copy()
    line(rgb, root, tip, (colour * 0.7).tolist(), width)
    line(rgb, root, tip, colour.tolist(), width * 0.86)
    return rgb


def cloth(rgb: Rgb, colours: Sequence[Colour], rng: Random) -> Rgb:
    """A sheet of plain cloth as large as the photo, lit like the photo."""
    colour = np.array(colours[rng.integers(len(colours))]) + rng.normal(0, 14, 3)
    coarse = cv2.cvtColor(cv2.resize(rgb, (6, 6), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    light = np.asarray(cv2.resize(coarse, rgb.shape[1::-1], interpolation=cv2.INTER_CUBIC), dtype=np.float32)
    light = 1 + rng.uniform(0.1, 0.6) * (light / max(float(light.mean()), 1.0) - 1)
    grain = rng.normal(0, rng.uniform(0, 5), rgb.shape[:2])
    return clipped(colour * light[:, :, None] + grain[:, :, None])


def glass(rgb: Rgb, rng: Random) -> Rgb:
    """A sheet of dark glass, mirroring in a fifth of cases, with the surroundings faintly in it."""
    palette = _MIRRORS if rng.random() < 0.2 else _SHADES
    colour = np.array(palette[rng.integers(len(palette))]) + rng.normal(0, 10, 3)
    ramp = np.linspace(-0.5, 0.5, rgb.shape[0])[:, None, None] * rng.choice([-60, 0, 60, 120])
    around = rng.uniform(0, 255, (5, 5, 3)).astype(np.float32)
    around = np.asarray(cv2.resize(around, rgb.shape[1::-1], interpolation=cv2.INTER_CUBIC), dtype=np.float32)
    share = rng.uniform(0, 0.3)
    return clipped((1 - share) * (colour + ramp) + share * around)


def pattern(sheet: Rgb, middle: Floats, unit: float, rng: Random) -> None:
    """Pleats, a seam, stripes, dots or letters, or nothing, drawn into a sheet around ``middle``."""
    shift = rng.choice([-1, 1]) * rng.uniform(10, 60)
    colour = np.clip(sheet.mean(axis=(0, 1)) + shift, 0, 255).tolist()
    kinds, shares = (
        ("plain", "pleats", "seam", "stripes", "dots", "letters"),
        (0.25, 0.25, 0.2, 0.1, 0.12, 0.08),
    )
    kind = str(rng.choice(kinds, p=shares))
    for start, end in _strokes(kind, rng):
        line(sheet, middle + unit * start, middle + unit * end, colour, unit * 0.05)
    if kind == "dots":
        for centre in middle + rng.uniform(-2, 2, (60, 2)) * unit:
            cv2.circle(
                sheet, pixel(centre), max(1, round(unit * rng.uniform(0.04, 0.15))), colour, -1, cv2.LINE_AA
            )
    elif kind == "letters":
        corner = pixel(middle + unit * np.array([-1, 0.3]))
        cv2.putText(sheet, "NO 19", corner, cv2.FONT_HERSHEY_SIMPLEX, unit / 28, colour, 1, cv2.LINE_AA)


def _strokes(kind: str, rng: Random) -> list[tuple[Floats, Floats]]:
    """Lines of a pattern, from and to, in units around the middle."""
    if kind == "pleats":
        ends = [((-2.5, y), (2.5, y)) for y in (-0.35, 0.05, 0.45)]
    elif kind == "seam":
        ends = [((0.0, -2.5), (0.0, 2.5))]
    elif kind == "stripes":
        ends = [((float(x), -3.0), (float(x) + 0.5, 3.0)) for x in np.arange(-3, 3, rng.uniform(0.2, 0.5))]
    else:
        ends = []
    return [(np.array(start), np.array(end)) for start, end in ends]


def smooth(outline: Floats) -> Floats:
    """The outline with its corners cut twice (Chaikin)."""
    for _ in range(2):
        following = np.roll(outline, -1, axis=0)
        cut = [0.75 * outline + 0.25 * following, 0.25 * outline + 0.75 * following]
        outline = np.stack(cut, axis=1).reshape(-1, 2)
    return outline


def clipped(values: NDArray[Any]) -> Rgb:
    """Any numbers as pixels."""
    return np.clip(values, 0, 255).astype(np.uint8)


def pixel(point: ArrayLike) -> tuple[int, int]:
    """The pixel (x, y) that a point falls into."""
    x, y = np.asarray(point, dtype=np.float64).tolist()
    return round(x), round(y)
