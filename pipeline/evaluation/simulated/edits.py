"""Edits of photos: beauty filters, and what is done to a stolen photo before it is sent as a selfie.

Every edit makes a new picture from a picture, the face in it and a seeded generator. The edits imitate public
reports of such fraud, to measure what `pipeline.faces.same_picture` detects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pipeline.bundles.models import Models
from pipeline.datasets.embeddings import Dataset, embed_picture, find_main_face
from pipeline.errors import ImageError
from pipeline.faces.types import Embeddings, Floats, Random, Rgb
from pipeline.images.decode import decode
from pipeline.terminal import track
from pipeline.verdict import Box

SLIMMER = 0.07
"""Share of its width that the lower half of a face loses."""
BRIGHTER = 1.08
Edit = Callable[[Rgb, Box, Random], Rgb]
"""(height, width, 3) uint8 and the face's box in it, to another picture of any size."""


def retouch(rgb: Rgb, box: Box) -> Rgb:
    """The whole picture smoothed and brightened, the face in ``box`` made slimmer."""
    slim = _slim(rgb, box)
    smooth = cv2.bilateralFilter(cv2.bilateralFilter(slim, 9, 45, 9), 9, 45, 9)
    return np.clip(smooth.astype(np.float32) * BRIGHTER + 4, 0, 255).astype(np.uint8)


def _slim(rgb: Rgb, box: Box) -> Rgb:
    """Squeeze towards the middle of the face, most at the chin, fading out at the sides."""
    height, width = rgb.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    across = (x - box.centre[0]) / box.width
    down = (y - (box.y + 0.85 * box.height)) / box.height
    amount = SLIMMER * np.exp(-(across**2) / 0.5 - (down**2) / 0.18)
    pulled = box.centre[0] + (x - box.centre[0]) * (1 + amount)
    slim = cv2.remap(rgb, pulled.astype(np.float32), y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(slim, dtype=np.uint8)


def retouched_faces(dataset: Dataset, files: Sequence[str]) -> tuple[list[str], dict[str, Embeddings]]:
    """The photos in which a face is still detected after retouching, and their (n, d) embeddings."""
    kept: list[str] = []
    rows: dict[str, list[Embeddings]] = {name: [] for name in dataset.models.embedders}
    for file in track(files, len(files), "retouching"):
        embeddings = _embed_retouched(dataset.models, (dataset.root / file).read_bytes())
        if embeddings is None:
            continue
        kept.append(file)
        for name, embedding in embeddings.items():
            rows[name].append(embedding)
    return kept, {name: np.array(found, np.float32) for name, found in rows.items()}


def _embed_retouched(models: Models, data: bytes) -> dict[str, Embeddings] | None:
    try:
        picture = decode(data)
    except ImageError:
        return None
    found = find_main_face(models, picture.rgb)
    return found and embed_picture(models, retouch(found[0], found[1].box))


def crop(rgb: Rgb, box: Box, rng: Random, *, share: float) -> Rgb:
    """``share`` of height and of width cut off, unevenly from the two sides; the face stays whole."""
    height, width = rgb.shape[:2]
    left, top = share * rng.random() * width, share * rng.random() * height
    left, top = min(left, max(box.x, 0)), min(top, max(box.y - 0.3 * box.height, 0))
    right = max(left + (1 - share) * width, box.x + box.width)
    bottom = max(top + (1 - share) * height, box.y + 1.1 * box.height)
    return rgb[int(top) : int(min(bottom, height)), int(left) : int(min(right, width))]


def turn(rgb: Rgb, _box: Box, rng: Random, *, degrees: float) -> Rgb:
    """Turned to either side; the corners are cut off, as photo editors do."""
    height, width = rgb.shape[:2]
    degrees *= rng.choice([-1, 1])
    angle = abs(np.radians(degrees))
    zoom = np.cos(angle) + np.sin(angle) * max(height / width, width / height)
    way = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, zoom)
    return _picture(cv2.warpAffine(rgb, way, (width, height), flags=cv2.INTER_LINEAR))


def mirror(rgb: Rgb, _box: Box, _rng: Random) -> Rgb:
    """Left for right."""
    return np.ascontiguousarray(rgb[:, ::-1])


def beauty(rgb: Rgb, box: Box, _rng: Random) -> Rgb:
    """Smooth bright skin, a slimmer jaw, larger eyes."""
    return retouch(_larger_eyes(rgb, box), box)


def _larger_eyes(rgb: Rgb, box: Box, by: float = 0.12) -> Rgb:
    """Each eye drawn larger by up to ``by``, fading out at the brows."""
    y, x = np.mgrid[0 : rgb.shape[0], 0 : rgb.shape[1]].astype(np.float32)
    to_x, to_y = x.copy(), y.copy()
    for across in (0.3, 0.7):
        dx, dy = x - (box.x + across * box.width), y - (box.y + 0.33 * box.height)
        near = by * np.exp(-(dx**2 + dy**2) / (0.13 * box.side) ** 2)
        to_x, to_y = to_x - near * dx, to_y - near * dy
    return _remap(rgb, to_x, to_y)


def colour(rgb: Rgb, _box: Box, rng: Random) -> Rgb:
    """Warmer or colder, another contrast, brightness, saturation and gamma."""
    picture = (rgb.astype(np.float32) / 255) ** rng.uniform(0.75, 1.35)
    warmth = rng.uniform(-0.12, 0.12)
    picture = picture * np.array([1 + warmth, 1, 1 - warmth], np.float32)
    grey = picture.mean(axis=2, keepdims=True)
    picture = grey + (picture - grey) * rng.uniform(0.5, 1.5)
    picture = (picture - 0.5) * rng.uniform(0.75, 1.3) + 0.5 + rng.uniform(-0.08, 0.08)
    return _picture(picture * 255)


def blur(rgb: Rgb, box: Box, rng: Random) -> Rgb:
    """Out of focus by about a hundredth of the face's width."""
    return _picture(cv2.GaussianBlur(rgb, (0, 0), box.side * rng.uniform(0.006, 0.015)))


def small(rgb: Rgb, box: Box, _rng: Random) -> Rgb:
    """Scaled down until the face has 60 pixels."""
    scale = min(60 / box.side, 1.0)
    return _picture(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def recompress(rgb: Rgb, _box: Box, rng: Random) -> Rgb:
    """As a JPEG of quality 25 to 60 and back."""
    packed = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 60))])[1]
    return np.ascontiguousarray(cv2.imdecode(packed, cv2.IMREAD_COLOR)[..., ::-1])


def warp(rgb: Rgb, box: Box, rng: Random) -> Rgb:
    """Bent smoothly by up to about three hundredths of the face's width."""
    height, width = rgb.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    bends = [_smooth_field(rgb, rng) * rng.uniform(0.015, 0.03) * box.side for _ in range(2)]
    return _remap(rgb, x + bends[0], y + bends[1])


def _smooth_field(rgb: Rgb, rng: Random) -> Floats:
    """(height, width) of about -1..1 that varies over a fifth of the picture."""
    coarse = rng.uniform(-1, 1, (6, 6)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, rgb.shape[1::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def screen(rgb: Rgb, _box: Box, rng: Random) -> Rgb:
    """Photographed off a screen: seen askew, with moire, glare, dark corners and a raised black."""
    rgb = _askew(rgb, rng)
    height, width = rgb.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    wave = x * rng.uniform(0.3, 0.9) + y * rng.uniform(-0.6, 0.6)
    moire = rng.uniform(2, 6) * np.sin(wave)[..., None] * np.array([1, 0.6, -0.8], np.float32)
    far = ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2)[..., None]
    spot = rng.uniform(0.1, 0.9, 2)
    glare = 45 * np.exp(-((x / width - spot[0]) ** 2 + (y / height - spot[1]) ** 2) / 0.03)[..., None]
    light = (rgb / np.float32(255)) ** rng.uniform(0.8, 1.3) * np.float32(215) + 22
    light = light * (1 - rng.uniform(0.2, 0.6) * far) * np.array([0.96, 1, 1.05], np.float32) + glare + moire
    shown = _picture(cv2.GaussianBlur(light, (0, 0), 0.003 * width))
    return _picture(shown + rng.normal(0, 3, shown.shape))


def _askew(rgb: Rgb, rng: Random) -> Rgb:
    """In perspective: each corner moved inwards by up to 6 % of the side, the picture filling the frame."""
    height, width = rgb.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    inwards = rng.uniform(0, 0.06, (4, 2)) * [[1, 1], [-1, 1], [-1, -1], [1, -1]] * [width, height]
    way = cv2.getPerspectiveTransform((corners + inwards).astype(np.float32), corners)
    return _picture(cv2.warpPerspective(rgb, way, (width, height), flags=cv2.INTER_LINEAR))


def screenshot(rgb: Rgb, box: Box, _rng: Random) -> Rgb:
    """With a phone's bars above and below, and lettering across the lower part."""
    shown = rgb.copy()
    height, width = rgb.shape[:2]
    place = (width // 20, int(min(height - 6, box.y + 1.25 * box.height)))
    cv2.putText(shown, "my new profile", place, cv2.FONT_HERSHEY_SIMPLEX, width / 350, (255, 255, 255), 2)
    bars = (width // 30, height // 5, width // 30, height // 3)
    return np.asarray(ImageOps.expand(Image.fromarray(shown), bars, fill=(24, 24, 28)))


def each(*edits: Edit) -> Edit:
    """One edit after the other. The face is assumed to stay about where it is."""
    return partial(_each, edits=edits)


def _each(rgb: Rgb, box: Box, rng: Random, *, edits: Sequence[Edit]) -> Rgb:
    for edit in edits:
        rgb = edit(rgb, box, rng)
    return rgb


def anything(rgb: Rgb, box: Box, rng: Random) -> Rgb:
    """A random combination of mirror, warp, rotation, colour and blur."""
    chosen: list[Edit] = [mirror] if rng.random() < 0.5 else []
    chosen += [warp, partial(turn, degrees=rng.uniform(0, 8)), colour, blur]
    return _each(rgb, box, rng, edits=chosen)


def _remap(rgb: Rgb, x: Floats, y: Floats) -> Rgb:
    ways = np.asarray(x, np.float32), np.asarray(y, np.float32)
    return _picture(cv2.remap(rgb, *ways, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _picture(values: NDArray[np.generic]) -> Rgb:
    return np.clip(np.asarray(values), 0, 255).astype(np.uint8)


EDITS: dict[str, Edit] = {
    "recompressed": recompress,
    "smaller": small,
    "colours": colour,
    "mirrored": mirror,
    "warped": warp,
    "screenshot": screenshot,
    "crop 10 %": partial(crop, share=0.10),
    "crop 25 %": partial(crop, share=0.25),
    "beauty filter, crop 10 %, turned": each(beauty, partial(crop, share=0.10), partial(turn, degrees=3)),
    "mirrored, crop 15 %, colours": each(mirror, partial(crop, share=0.15), colour),
    "mirrored, turned, blurred": each(mirror, partial(turn, degrees=6), blur),
    "photographed screen": screen,
    "beauty filter, screen": each(beauty, screen),
    "mirrored, screen": each(mirror, screen),
    "random": anything,
}
"""The measured edits by name. "random" is one try of somebody who tries often."""
