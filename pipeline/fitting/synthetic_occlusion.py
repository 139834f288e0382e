"""Draw masks, sunglasses, hands, scarves and reading glasses onto faces.

The occlusion classifier is fitted on these, because few real labelled ones may be used. All shapes are placed
by the six landmarks of BlazeFace; colours, cuts and textures are random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np

from pipeline.faces.types import Doubles, Face, Random, Rgb
from pipeline.fitting.painting import (
    ANY_COLOURS,
    DARK_RIMS,
    MASK_COLOURS,
    RIM_COLOURS,
    Colour,
    cloth,
    finger,
    glass,
    line,
    paint,
    paler_below,
    pattern,
    pixel,
    rounded,
    smooth,
)


class Occluder(StrEnum):
    """What can be drawn. Reading glasses and masks below the chin hide nothing, and are negative examples."""

    MASK = "mask"
    SCARF = "scarf"
    HAND_ON_MOUTH = "hand_on_mouth"
    SUNGLASSES = "sunglasses"
    HAND_ON_EYES = "hand_on_eyes"
    READING_GLASSES = "reading_glasses"
    CHIN_MASK = "chin_mask"

    @property
    def hides_mouth(self) -> bool:
        """Whether at least the mouth is hidden."""
        return self in (Occluder.MASK, Occluder.SCARF, Occluder.HAND_ON_MOUTH)

    @property
    def hides_eyes(self) -> bool:
        """Whether at least one eye is hidden."""
        return self in (Occluder.SUNGLASSES, Occluder.HAND_ON_EYES)


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """The landmarks of a face, points (x, y) in pixels."""

    right_eye: Doubles
    left_eye: Doubles
    nose: Doubles
    mouth: Doubles
    right_ear: Doubles
    left_ear: Doubles

    @classmethod
    def of(cls, face: Face) -> _Frame:
        return cls(*face.landmarks.astype(np.float64))

    @property
    def eyes(self) -> Doubles:
        return (self.right_eye + self.left_eye) / 2

    @property
    def ears(self) -> tuple[Doubles, Doubles]:
        return self.right_ear, self.left_ear

    @property
    def across(self) -> Doubles:
        """Half the vector from eye to eye."""
        return (self.left_eye - self.right_eye) / 2

    @property
    def sideways(self) -> Doubles:
        """The direction from eye to eye, of length 1."""
        return self.across / max(float(np.linalg.norm(self.across)), 1e-6)

    @property
    def down(self) -> Doubles:
        """From the eyes to the mouth."""
        return self.mouth - self.eyes

    @property
    def unit(self) -> float:
        """A length that hardly depends on the pose: about half the distance of frontal eyes."""
        return max(float(np.linalg.norm(self.across)), float(np.linalg.norm(self.down)) * 0.45, 1.0)


def draw_occluder(rgb: Rgb, face: Face, what: Occluder, rng: Random) -> Rgb:
    """A copy of the photo with ``what`` on the face."""
    return _PAINTERS[what](rgb, _Frame.of(face), rng)


def _draw_mask(rgb: Rgb, frame: _Frame, rng: Random) -> Rgb:
    """A surgical, KF94 or cloth mask over nose, mouth and chin, with its straps.

    One in ten leaves the nose bare.
    """
    bare_nose = rng.random() < 0.1
    lower = frame.nose + rng.uniform(0.1, 0.35) * (frame.mouth - frame.nose)
    top = lower if bare_nose else frame.eyes + rng.uniform(0.25, 0.9) * (frame.nose - frame.eyes)
    return _masked(rgb, frame, top, frame.mouth + rng.uniform(0.5, 1.05) * frame.down, rng)


def _draw_chin_mask(rgb: Rgb, frame: _Frame, rng: Random) -> Rgb:
    """A mask pulled down to the chin: nose and mouth are seen."""
    top = frame.mouth + rng.uniform(0.4, 0.6) * frame.down
    return _masked(rgb, frame, top, frame.mouth + rng.uniform(0.9, 1.3) * frame.down, rng)


def _masked(rgb: Rgb, frame: _Frame, top: Doubles, chin: Doubles, rng: Random) -> Rgb:
    """A mask that reaches from ``top``, on the nose, to ``chin``."""
    height = chin - top
    wide = rng.uniform(-0.03, 0.35)
    sides = [ear + wide * (frame.mouth - ear) + rng.uniform(-0.05, 0.2) * frame.down for ear in frame.ears]
    sides = [side + max(0.0, _along(top - side, frame.down)) * frame.down * 0.7 for side in sides]
    jaws = [_bulge(side, chin, top + 0.5 * height, rng.uniform(0.25, 0.7)) for side in sides]
    cheeks = [side + 0.5 * (top - side) + rng.uniform(-0.12, 0.25) * height for side in sides]
    outline = smooth(np.array([sides[0], cheeks[0], top, cheeks[1], sides[1], jaws[1], chin, jaws[0]]))
    middle = top + 0.45 * height
    sheet = pattern(cloth(rgb, MASK_COLOURS, frame.unit, rng), middle, frame.unit, rng)
    sheet = rounded(sheet, middle, (sides[1] - sides[0]) / 2, rng)
    rgb = _straps(rgb, frame, [*sides, *jaws], sheet, rng)
    masked = paint(rgb, sheet, outline, rng.uniform(0.94, 1.0))
    return _seam(masked, outline, sheet, frame, rng) if rng.random() < 0.4 else masked


def _along(way: Doubles, direction: Doubles) -> float:
    """The component of ``way`` in a direction, in lengths of that."""
    return float(way @ direction) / max(float(direction @ direction), 1e-6)


def _straps(rgb: Rgb, frame: _Frame, corners: Sequence[Doubles], sheet: Rgb, rng: Random) -> Rgb:
    """Loops from the mask's corners, (right, left, lower right, lower left), around the ears."""
    rgb = rgb.copy()
    for number, corner in enumerate(corners):
        ear = frame.ears[number % 2] - [0, rng.uniform(0.1, 0.5) * frame.unit]
        if rng.random() < 0.7:
            line(rgb, corner, ear, sheet.mean(axis=(0, 1)).tolist(), frame.unit * rng.uniform(0.03, 0.08))
    return rgb


def _seam(rgb: Rgb, outline: Doubles, sheet: Rgb, frame: _Frame, rng: Random) -> Rgb:
    """A binding of another shade along the mask's border."""
    colour = np.clip(sheet.mean(axis=(0, 1)) + rng.uniform(-60, 60), 0, 255).tolist()
    for start, end in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        line(rgb, start, end, colour, frame.unit * 0.05)
    return rgb


def _bulge(side: Doubles, chin: Doubles, inner: Doubles, amount: float) -> Doubles:
    """The jaw between ear and chin, pushed outwards from ``inner``."""
    middle = (side + chin) / 2
    return np.asarray(middle + amount * (middle - inner))


def _draw_scarf(rgb: Rgb, frame: _Frame, rng: Random) -> Rgb:
    """A scarf, a collar or a bandana pulled up over the mouth and often the nose."""
    top = frame.eyes + rng.uniform(0.45, 0.8) * frame.down
    side = rng.uniform(1.9, 2.8) * frame.unit * frame.sideways
    low, sag = rng.uniform(1.6, 2.6) * frame.down, rng.uniform(-0.15, 0.15) * frame.down
    upper = [top - side, top - side / 2 + sag, top + side / 2 + sag, top + side]
    outline = np.array([*upper, top + 1.1 * side + low, top - 1.1 * side + low])
    sheet = pattern(cloth(rgb, ANY_COLOURS, frame.unit, rng), outline.mean(axis=0), frame.unit, rng)
    return paint(rgb, rounded(sheet, top, side, rng), smooth(outline), rng.uniform(0.95, 1.0))


def _draw_sunglasses(rgb: Rgb, frame: _Frame, rng: Random) -> Rgb:
    """Dark, tinted or mirroring lenses, some paler below, mostly with a dark rim."""
    lenses, sheet, opacity = _lenses(frame, rng), glass(rgb, rng), rng.uniform(0.75, 1.0)
    if rng.random() < 0.35:
        sheet = paler_below(sheet, rgb, frame.eyes, frame.down, rng)
    for lens in lenses:
        rgb = paint(rgb, sheet, lens, opacity)
        if rng.random() < 0.4:
            rgb = _reflection(rgb, lens, rng)
    return _rims(rgb, frame, lenses, DARK_RIMS if rng.random() < 0.7 else RIM_COLOURS, rng)


def _draw_reading_glasses(rgb: Rgb, frame: _Frame, rng: Random) -> Rgb:
    """Clear lenses: a rim, a bridge, temples, at most a faint tint or reflection."""
    lenses = _lenses(frame, rng)
    sheet = np.full_like(rgb, rng.integers(60, 255, 3))
    for lens in lenses:
        rgb = paint(rgb, sheet, lens, rng.uniform(0.0, 0.15))
        if rng.random() < 0.3:
            rgb = _reflection(rgb, lens, rng)
    return _rims(rgb, frame, lenses, DARK_RIMS if rng.random() < 0.5 else RIM_COLOURS, rng)


def _lenses(frame: _Frame, rng: Random) -> list[Doubles]:
    """The outlines of two lenses, (n, 2) each: round, oval, square or drop-shaped, often flat above."""
    power = rng.choice([2.0, 2.5, 4.0])  # of the superellipse: 2 is an ellipse, 4 nearly a rectangle
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    cos, sin = np.cos(angle), np.sin(angle)
    x = np.sign(cos) * np.abs(cos) ** (2 / power) * rng.uniform(0.65, 1.15)
    y = np.sign(sin) * np.abs(sin) ** (2 / power) * rng.uniform(0.45, 1.05)
    y = np.where(y < 0, y * rng.uniform(0.5, 1.0), y)
    drop, slant, sink = rng.uniform(0, 0.35), rng.uniform(-0.15, 0.15), rng.uniform(0.0, 0.25)
    tall = np.array([-frame.sideways[1], frame.sideways[0]]) * frame.unit
    outlines = []
    for eye, side in ((frame.right_eye, -1), (frame.left_eye, 1)):
        outward = x * side
        bent = y + np.where(y > 0, drop * outward, 0) + slant * outward + sink
        centre = eye + side * rng.uniform(0.0, 0.08) * frame.across
        outlines.append(np.asarray(centre + x[:, None] * frame.across + bent[:, None] * tall))
    return outlines


def _rims(rgb: Rgb, frame: _Frame, lenses: Sequence[Doubles], colours: Sequence[Colour], rng: Random) -> Rgb:
    """Rims, bridge and temples, now and then a bar above; a few glasses are rimless."""
    rgb = rgb.copy()
    colour = colours[rng.integers(len(colours))]
    width = frame.unit * rng.uniform(0.03, 0.16)
    right, left = (_nearest(lens, other) for lens, other in (lenses, lenses[::-1]))
    line(rgb, right, left, colour, width)
    if rng.random() < 0.2:
        start, end = (lens[np.argmin(lens @ frame.down)] for lens in lenses)
        line(rgb, start, end, colour, width)
    rimless = rng.random() < 0.15
    for lens, ear in zip(lenses, frame.ears, strict=True):
        line(rgb, lens[np.argmin(np.linalg.norm(lens - ear, axis=1))], ear - 0.3 * frame.down, colour, width)
        for start, end in zip(lens, np.roll(lens, -1, axis=0), strict=True):
            if not rimless:
                line(rgb, start, end, colour, width)
    return rgb


def _nearest(lens: Doubles, other: Doubles) -> Doubles:
    return np.asarray(lens[np.argmin(np.linalg.norm(lens - other.mean(axis=0), axis=1))])


def _reflection(rgb: Rgb, lens: Doubles, rng: Random) -> Rgb:
    size = lens.std(axis=0).mean()
    streak = lens.mean(axis=0) + rng.normal(0, 0.4 * size, 2) + rng.normal(0, 0.35 * size, (4, 2))
    return paint(rgb, np.full_like(rgb, 240), streak, rng.uniform(0.15, 0.6))


def _draw_hand_on_mouth(rgb: Rgb, frame: _Frame, rng: Random) -> Rgb:
    return _cover(rgb, frame, frame.mouth + rng.uniform(-0.5, 0.2) * (frame.mouth - frame.nose), rng)


def _draw_hand_on_eyes(rgb: Rgb, frame: _Frame, rng: Random) -> Rgb:
    return _cover(rgb, frame, frame.eyes + rng.uniform(-0.8, 0.8) * frame.across, rng)


def _cover(rgb: Rgb, frame: _Frame, target: Doubles, rng: Random) -> Rgb:
    """A hand of the face's own colour, or in a quarter of cases a dark phone, over ``target``."""
    unit = frame.unit
    target = target + rng.normal(0, 0.12 * unit, 2)
    if rng.random() < 0.25:
        size = (unit * rng.uniform(1.6, 2.4), unit * rng.uniform(3, 4))
        phone = cv2.boxPoints((target.tolist(), size, rng.uniform(-25, 25)))
        return paint(rgb, np.full_like(rgb, rng.integers(5, 60)), np.asarray(phone, dtype=np.float64), 1.0)
    skin = _skin(rgb, frame) * rng.uniform(0.8, 1.15)
    angle = rng.uniform(0, 2 * np.pi)
    along, aside = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    for number in range(rng.integers(3, 6)):
        middle = target + aside * (number - 1.7) * unit * rng.uniform(0.48, 0.6)
        tip, root = middle + along * unit * rng.uniform(0.8, 1.5), middle - along * unit * 2.5
        rgb = finger(rgb, root, tip, skin * rng.uniform(0.85, 1.1), unit * rng.uniform(0.5, 0.62))
    return rgb


def _skin(rgb: Rgb, frame: _Frame) -> Doubles:
    cheeks = [pixel((eye + frame.mouth) / 2) for eye in (frame.right_eye, frame.left_eye)]
    inside = [(np.clip(y, 0, rgb.shape[0] - 1), np.clip(x, 0, rgb.shape[1] - 1)) for x, y in cheeks]
    return np.asarray(np.mean([rgb[y, x] for y, x in inside], axis=0), dtype=np.float64)


_PAINTERS: dict[Occluder, Callable[[Rgb, _Frame, Random], Rgb]] = {
    Occluder.MASK: _draw_mask,
    Occluder.SCARF: _draw_scarf,
    Occluder.HAND_ON_MOUTH: _draw_hand_on_mouth,
    Occluder.SUNGLASSES: _draw_sunglasses,
    Occluder.HAND_ON_EYES: _draw_hand_on_eyes,
    Occluder.READING_GLASSES: _draw_reading_glasses,
    Occluder.CHIN_MASK: _draw_chin_mask,
}
