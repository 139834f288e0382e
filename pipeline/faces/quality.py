"""Quality of a face, and the gates that it must pass before it is compared.

Light and sharpness are measured on the aligned face of 112 pixels, so that background, size and
tilt of the photo have no influence. The limits were set so that hardly any bare face of an ordinary
photo is refused; see `QualityLimits`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.faces.align import Border, crop_similarity, roll_of
from pipeline.faces.types import Face, Points, Rgb
from pipeline.verdict import GateResult, Outcome

Gray = NDArray[np.uint8]

_SECOND_DIFFERENCE: Final = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_WHITE: Final = 250
_MIDDLE: Final = slice(12, 100)
"""The face without most of hair and background, of 112 pixels."""
SMALL_PHOTO: Final = 165.0
"""Pixels: thumbnails have up to 160."""
FILLED: Final = 0.7


@dataclass(frozen=True, slots=True)
class Quality:
    """Measurements of a face."""

    face_px: float
    """Side of the face box in pixels of the original photo."""
    sharpness: float
    """Variance of the Laplacian over the variance of the grey values, at 56 px; about 0.3 is sharp, and at
    0.02 recognition is much worse."""
    highlights: float
    """Grey value below which 95 % of the face lies, 0..255."""
    shadows: float
    """Grey value below which 5 % of the face lies, 0..255."""
    brightness: float
    """Mean grey value, 0..255."""
    contrast: float
    """Standard deviation of the grey values."""
    yaw: float
    """Degrees, 0 is frontal; positive where the nose points to the picture's right."""
    pitch: float
    """Degrees, roughly; positive where the nose points up."""
    roll: float
    """Degrees, positive is clockwise."""
    detector_score: float
    """0..1."""
    noise: float
    """Standard deviation of the grain, in grey values. Ordinary photos have 0.5 to 5."""
    burnt: float
    """Share of the face that is white, 0..1."""
    photo_px: float
    """Shorter side of the original photo in pixels."""
    fills: float
    """Side of the face box over the photo's longer side."""

    @property
    def close_crop(self) -> bool:
        """A thumbnail that shows a face and nothing else.

        Impostor scores are higher where both photos are such, and genuine scores lower.
        """
        return self.photo_px < SMALL_PHOTO and self.fills > FILLED

    def as_dict(self) -> dict[str, float]:
        """The numbers by name, rounded for storing."""
        return {name: round(float(value), 4) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """Limits beyond which a face is refused.

    SFace keeps a cosine of 0.85 to the sharp original at a face of 30 px, 0.67 at 20 px, and
    0.69 (median) at the blur that gives a sharpness of 0.016.
    """

    face_px: float = 48.0
    sharpness: float = 0.025
    highlights: float = 45.0
    """A face whose brightest parts are darker than this is black; no skin colour alone is."""
    shadows: float = 185.0
    """A face whose darkest parts are brighter than this is burnt out."""
    yaw: float = 55.0
    noise: float = 8.0
    """Different people in heavy grain get high scores. Of 915 ordinary photos (LFW, FairFace, Asian faces
    from the web) one has more noise; of those with noise of 40 grey values added all but a few."""
    burnt: float = 0.35
    """The highest of those photos is 0.26."""


def measure(rgb: Rgb, face: Face, scale: float = 1.0) -> Quality:
    """Measure ``face``; ``scale`` is how many pixels of the original make one of ``rgb``."""
    crop = crop_similarity(rgb, face, 112, Border.REPLICATE)
    gray = np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    shadows, highlights = np.percentile(gray, [5, 95])
    yaw, pitch = _pose(face.landmarks)
    return Quality(
        face_px=face.box.side * scale,
        sharpness=_sharpness(gray),
        highlights=float(highlights),
        shadows=float(shadows),
        brightness=float(gray.mean()),
        contrast=float(gray.std()),
        yaw=yaw,
        pitch=pitch,
        roll=float(np.degrees(roll_of(face))),
        detector_score=face.score,
        noise=_noise(gray),
        burnt=float(np.mean(gray[_MIDDLE, _MIDDLE] >= _WHITE)),
        photo_px=min(rgb.shape[:2]) * scale,
        fills=face.box.side / max(rgb.shape[:2]),
    )


def gate(quality: Quality, limits: QualityLimits) -> tuple[Outcome, GateResult] | None:
    """The first gate that refuses the face, with its number; None where it passes all."""
    return next(_refusals(quality, limits), None)


def _refusals(quality: Quality, limits: QualityLimits) -> Iterator[tuple[Outcome, GateResult]]:
    """The gates in order: light is named before sharpness, because darkness blurs too."""
    if quality.face_px < limits.face_px:
        yield Outcome.FACE_TOO_SMALL, GateResult("face_px", quality.face_px, limits.face_px)
    if quality.highlights < limits.highlights:
        yield Outcome.TOO_DARK, GateResult("highlights", quality.highlights, limits.highlights)
    if quality.shadows > limits.shadows:
        yield Outcome.TOO_BRIGHT, GateResult("shadows", quality.shadows, limits.shadows)
    if quality.burnt > limits.burnt:
        yield Outcome.TOO_BRIGHT, GateResult("burnt", quality.burnt, limits.burnt)
    if quality.sharpness < limits.sharpness:
        yield Outcome.TOO_BLURRED, GateResult("sharpness", quality.sharpness, limits.sharpness)
    if quality.noise > limits.noise:
        yield Outcome.TOO_BLURRED, GateResult("noise", quality.noise, limits.noise)
    if abs(quality.yaw) > limits.yaw:
        yield Outcome.EXTREME_POSE, GateResult("yaw", quality.yaw, limits.yaw)


def _sharpness(gray: Gray) -> float:
    """See `Quality.sharpness`. Halved first, because small faces lack finer detail anyway."""
    half = cv2.resize(gray, (56, 56), interpolation=cv2.INTER_AREA)
    contours = cv2.Laplacian(half, cv2.CV_32F)
    return float(contours.var() / max(float(half.var()), 25.0))


def _noise(gray: Gray) -> float:
    """See `Quality.noise`: Immerkær, Fast Noise Variance Estimation (1996). Contours hardly count."""
    rough = np.abs(cv2.filter2D(gray, cv2.CV_32F, _SECOND_DIFFERENCE))[4:-4, 4:-4]
    return float(np.sqrt(np.pi / 2) / 6 * rough.mean())


def _pose(landmarks: Points) -> tuple[float, float]:
    """(yaw, pitch) in degrees from where the nose lies between eyes and mouth.

    The two slopes were fitted to MediaPipe's face mesh on 950 photos: yaw is off by 2 degrees in
    the median and 8 at the 95th percentile, pitch is coarse.
    """
    across = (landmarks[1] - landmarks[0]).astype(np.float64)
    down = np.array([-across[1], across[0]])
    middle = (landmarks[0] + landmarks[1]) / 2
    spread = max(float(across @ across), 1e-6)  # squared distance of the eyes
    nose, mouth = landmarks[2] - middle, landmarks[3] - middle
    sideways = 2 * float(nose @ across) / spread
    drop = float(nose @ down) / max(float(mouth @ down), 0.05 * spread)
    return 0.74 * float(np.degrees(np.arctan(sideways))), float(np.clip(49 - 105 * drop, -90, 90))
