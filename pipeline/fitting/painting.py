"""Drawing for synthetic occluders: shapes with soft borders, lines, cloth and glass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.faces.types import Doubles, Random, Rgb

Colour = tuple[int, int, int]

MASK_COLOURS: tuple[Colour, ...] = (
    (245, 245, 245), (235, 240, 245), (150, 195, 220), (120, 175, 190), (25, 25, 28), (50, 50, 55),
    (90, 90, 95), (35, 45, 80), (225, 170, 180), (205, 185, 160), (150, 40, 45), (240, 242, 245),
    (230, 230, 228), (180, 210, 225), (20, 20, 22), (35, 35, 38), (130, 130, 135), (215, 190, 175),
)  # fmt: skip
ANY_COLOURS: tuple[Colour, ...] = (*MASK_COLOURS, (120, 90, 60), (60, 90, 60), (180, 150, 60))
RIM_COLOURS: tuple[Colour, ...] = ((15, 15, 15), (70, 45, 30), (150, 140, 120), (190, 170, 90), (120, 20, 30))
DARK_RIMS: tuple[Colour, ...] = ((10, 10, 12), (25, 22, 22), (45, 32, 25))
_SHADES: tuple[Colour, ...] = ((12, 12, 14), (25, 22, 20), (50, 32, 20), (30, 40, 35), (35, 35, 60))
_MIRRORS: tuple[Colour, ...] = (
    (200, 110, 30), (60, 120, 190), (170, 160, 60), (150, 90, 150), (190, 190, 195), (110, 130, 80),
)  # fmt: skip


def paint(rgb: Rgb, sheet: Rgb, outline: Doubles, opacity: float) -> Rgb:
    """A copy with ``sheet`` inside the outline, (n, 2) points; soft borders, ``opacity`` 0..1."""
    inside = np.zeros(rgb.shape[:2], dtype=np.uint8)
    cv2.fillPoly(inside, [np.round(outline * 8).astype(np.int32)], (255,), cv2.LINE_AA, 3)
    alpha = (np.asarray(cv2.GaussianBlur(inside, (3, 3), 0)) * (opacity / 255))[:, :, None]
    return clipped(rgb * (1 - alpha) + sheet * alpha)


def line(image: Rgb, start: ArrayLike, end: ArrayLike, colour: Sequence[float], width: float) -> None:
    """Draw a line into ``image``, at least one pixel wide."""
    cv2.line(image, pixel(start), pixel(end), tuple(colour), max(1, round(width)), cv2.LINE_AA)


def finger(rgb: Rgb, root: Doubles, tip: Doubles, colour: Doubles, width: float) -> Rgb:
    """A copy with a thick round line that is darker at its borders."""
    rgb = rgb.copy()
    line(rgb, root, tip, (colour * 0.7).tolist(), width)
    line(rgb, root, tip, colour.tolist(), width * 0.86)
    return rgb


def cloth(rgb: Rgb, colours: Sequence[Colour], unit: float, rng: Random) -> Rgb:
    """A sheet of cloth as large as the photo, lit like the photo, with soft folds; a fifth is knitted.

    ``unit`` is that of the face, see `pipeline.fitting.synthetic_occlusion`.
    """
    colour = np.array(colours[rng.integers(len(colours))]) + rng.normal(0, 14, 3)
    light = 1 + rng.uniform(0.1, 0.8) * _light(rgb, unit)
    folds = 1 + rng.uniform(0, 0.12) * _clouds(rgb.shape, unit * rng.uniform(0.4, 1.5), rng)
    grain = rng.normal(0, rng.uniform(0, 5), rgb.shape[:2])
    if rng.random() < 0.2:
        grain += _knit(rgb.shape, rng)
    return clipped(colour * (light * folds)[:, :, None] + grain[:, :, None])


def blotches(sheet: Rgb, colours: Sequence[Colour], unit: float, rng: Random) -> Rgb:
    """The sheet with large spots of other colours on it: flowers, camouflage, a print."""
    sheet = sheet.copy()
    for _ in range(rng.integers(1, 4)):
        spots = _clouds(sheet.shape, unit * rng.uniform(0.15, 0.6), rng) > rng.uniform(0.3, 1.2)
        sheet[spots] = clipped(np.array(colours[rng.integers(len(colours))]) + rng.normal(0, 14, 3))
    return sheet


def rounded(sheet: Rgb, middle: Doubles, across: Doubles, rng: Random) -> Rgb:
    """The sheet shaded as if bent around the face; ``across`` leads from its middle to its side."""
    y, x = np.mgrid[: sheet.shape[0], : sheet.shape[1]]
    aside = ((x - middle[0]) * across[0] + (y - middle[1]) * across[1]) / max(float(across @ across), 1e-6)
    shade = 1 - rng.uniform(0, 0.35) * np.clip(aside, -1.2, 1.2) ** 2 + rng.uniform(-0.15, 0.15) * aside
    return clipped(sheet * np.clip(shade, 0.3, 1.3)[:, :, None])


def _light(rgb: Rgb, unit: float) -> Doubles:
    """(height, width): how much brighter than the median the photo is around each pixel; -1 is black."""
    grid = tuple(int(np.clip(side / unit, 4, 64)) for side in rgb.shape[1::-1])
    coarse = cv2.cvtColor(cv2.resize(rgb, grid, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    grey = np.asarray(cv2.resize(coarse, rgb.shape[1::-1], interpolation=cv2.INTER_LINEAR), dtype=np.float64)
    return np.clip(grey / max(float(np.median(coarse)), 20.0) - 1, -0.8, 0.8)


def _clouds(shape: tuple[int, ...], size: float, rng: Random) -> Doubles:
    """(height, width): smooth noise around 0 in clouds of about ``size`` pixels."""
    grid = [int(np.clip(side / max(size, 1.0), 2, 200)) for side in shape[:2]]
    noise = rng.normal(0, 1, grid)
    return np.asarray(cv2.resize(noise, shape[1::-1], interpolation=cv2.INTER_CUBIC), dtype=np.float64)


def _knit(shape: tuple[int, ...], rng: Random) -> Doubles:
    """(height, width): the ribs of knitted or woven cloth, in grey values."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    angle, period = rng.uniform(0, np.pi), rng.uniform(2.5, 8)
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)
    return np.asarray(rng.uniform(3, 14) * wave)


def glass(rgb: Rgb, rng: Random) -> Rgb:
    """A sheet of dark glass, mirroring in a fifth of cases, with the surroundings faintly in it."""
    palette = _MIRRORS if rng.random() < 0.2 else _SHADES
    colour = np.array(palette[rng.integers(len(palette))]) + rng.normal(0, 10, 3)
    ramp = np.linspace(-0.5, 0.5, rgb.shape[0])[:, None, None] * rng.choice([-60, 0, 60, 120])
    around = rng.uniform(0, 255, (5, 5, 3)).astype(np.float32)
    around = np.asarray(cv2.resize(around, rgb.shape[1::-1], interpolation=cv2.INTER_CUBIC), dtype=np.float32)
    share = rng.uniform(0, 0.3)
    return clipped((1 - share) * (colour + ramp) + share * around)


def paler_below(sheet: Rgb, rgb: Rgb, middle: Doubles, down: Doubles, rng: Random) -> Rgb:
    """The sheet, more transparent to the photo the further ``down`` from ``middle`` a pixel is."""
    y, x = np.mgrid[: sheet.shape[0], : sheet.shape[1]]
    below = ((x - middle[0]) * down[0] + (y - middle[1]) * down[1]) / max(float(down @ down), 1e-6)
    share = np.clip(0.3 + rng.uniform(0.5, 1.5) * below, 0, rng.uniform(0.3, 0.6))[:, :, None]
    return clipped(sheet * (1 - share) + rgb * share)


def pattern(sheet: Rgb, middle: Doubles, unit: float, rng: Random) -> Rgb:
    """A copy of the sheet, plain or with one of `_PATTERNS` around ``middle``."""
    kind = str(rng.choice(list(_PATTERNS), p=list(_PATTERNS.values())))
    sheet = blotches(sheet, ANY_COLOURS, unit, rng) if kind == "spots" else sheet.copy()
    shift = rng.choice([-1, 1]) * rng.uniform(10, 60)
    colour = np.clip(sheet.mean(axis=(0, 1)) + shift, 0, 255).tolist()
    for start, end in _strokes(kind, rng):
        line(sheet, middle + unit * start, middle + unit * end, colour, unit * rng.uniform(0.02, 0.07))
    if kind == "dots":
        for centre in middle + rng.uniform(-2, 2, (60, 2)) * unit:
            _ellipse(sheet, centre, unit * rng.uniform(0.04, 0.15, 2), colour)
    elif kind == "valve":
        centre = middle + rng.uniform(-0.6, 0.6, 2) * unit
        for share in (1.0, 0.8):
            _ellipse(sheet, centre, unit * rng.uniform(0.25, 0.4, 2) * share, rng.uniform(0, 255, 3).tolist())
    elif kind == "mouth":
        _printed_mouth(sheet, middle, unit, rng)
    elif kind == "letters":
        corner = pixel(middle + unit * np.array([-1, 0.3]))
        cv2.putText(sheet, "NO 19", corner, cv2.FONT_HERSHEY_SIMPLEX, unit / 28, colour, 1, cv2.LINE_AA)
    return sheet


_PATTERNS = {
    "plain": 0.34, "pleats": 0.2, "seam": 0.12, "stripes": 0.06, "checks": 0.05, "dots": 0.06,
    "spots": 0.08, "valve": 0.04, "mouth": 0.03, "letters": 0.02,
}  # fmt: skip


def _printed_mouth(sheet: Rgb, middle: Doubles, unit: float, rng: Random) -> None:
    size = unit * np.array([rng.uniform(0.4, 0.9), rng.uniform(0.15, 0.4)])
    _ellipse(sheet, middle, size, (rng.uniform(120, 230), rng.uniform(10, 60), rng.uniform(20, 70)))
    _ellipse(sheet, middle, size * (0.8, 0.4), [float(rng.choice([20, 240]))] * 3)


def _ellipse(sheet: Rgb, centre: Doubles, size: Doubles, colour: Sequence[float]) -> None:
    axes = max(1, round(float(size[0]))), max(1, round(float(size[1])))
    cv2.ellipse(sheet, pixel(centre), axes, 0, 0, 360, tuple(colour), -1, cv2.LINE_AA)


def _strokes(kind: str, rng: Random) -> list[tuple[Doubles, Doubles]]:
    """Lines of a pattern, from and to, in units around the middle."""
    stripes = [((float(x), -3.0), (float(x) + 0.5, 3.0)) for x in np.arange(-3, 3, rng.uniform(0.2, 0.5))]
    if kind == "pleats":  # lower in the middle than at the sides
        sag, start = rng.uniform(0, 0.35), rng.uniform(-0.5, -0.2)
        levels = start + rng.uniform(0.3, 0.5) * np.arange(3)
        ends = [((side, y - sag), (0.0, y)) for y in levels for side in (-2.5, 2.5)]
    elif kind == "seam":
        ends = [((0.0, -2.5), (0.0, 2.5))]
    elif kind == "stripes":
        ends = stripes
    elif kind == "checks":
        ends = [*stripes, *(((y0, x0), (y1, x1)) for (x0, y0), (x1, y1) in stripes)]
    else:
        ends = []
    return [(np.array(start), np.array(end)) for start, end in ends]


def smooth(outline: Doubles) -> Doubles:
    """The outline with its corners cut twice (Chaikin)."""
    for _ in range(2):
        following = np.roll(outline, -1, axis=0)
        cut = [0.75 * outline + 0.25 * following, 0.25 * outline + 0.75 * following]
        outline = np.stack(cut, axis=1).reshape(-1, 2)
    return outline


def clipped(values: NDArray[Any]) -> Rgb:
    """Numbers as pixel values."""
    return np.clip(values, 0, 255).astype(np.uint8)


def pixel(point: ArrayLike) -> tuple[int, int]:
    """The pixel (x, y) of a point."""
    x, y = np.asarray(point, dtype=np.float64).tolist()
    return round(x), round(y)
