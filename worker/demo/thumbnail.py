"""A photo as it appears on the contact sheet: cut around the face that was judged, with its box."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from pipeline.errors import ImageError
from pipeline.images.decode import decode
from pipeline.verdict import Box, PhotoFinding

_PANEL: Final = "#dcd8d0"
_FACE_SHARE: Final = 0.42  # of the thumbnail's width
_Area = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of the photo; may reach beyond its edges."""


def thumbnail(file: Path, finding: PhotoFinding, size: tuple[int, int], colour: str) -> Image.Image:
    """``size`` (width, height) in pixels. Where there is no photo, a panel that says so."""
    photo = _photo(file)
    if photo is None:
        return _nothing(size)
    area = _area(photo.size, finding, size)
    cut = _cut(photo, area, size)
    if finding.box is not None:
        _outline(cut, finding.box, area, colour)
    return cut


def _photo(file: Path) -> Image.Image | None:
    """As the pipeline sees it: a box is in the pixels of that picture."""
    if not file.is_file():
        return None
    try:
        return Image.fromarray(decode(file.read_bytes()).rgb)
    except ImageError:
        return None


def _area(photo: tuple[int, int], finding: PhotoFinding, size: tuple[int, int]) -> _Area:
    """The part to show: around the face, or the whole where there are several or none."""
    aspect = size[0] / size[1]
    if finding.box is None or finding.faces > 1:
        width = max(photo[0], photo[1] * aspect) if finding.faces > 1 else min(photo[0], photo[1] * aspect)
        centre = photo[0] / 2, photo[1] / 2
    else:
        width = min(finding.box.side / _FACE_SHARE, photo[0], photo[1] * aspect)
        centre = finding.box.centre
    height = width / aspect
    left = _inside(centre[0] - width / 2, width, photo[0])
    top = _inside(centre[1] - height * 0.45, height, photo[1])
    return left, top, left + width, top + height


def _cut(photo: Image.Image, area: _Area, size: tuple[int, int]) -> Image.Image:
    left, top, right, bottom = (round(v) for v in area)
    panel = Image.new("RGB", (right - left, bottom - top), _PANEL)
    panel.paste(photo, (-left, -top))
    return panel.resize(size, Image.Resampling.LANCZOS)


def _inside(start: float, length: float, whole: int) -> float:
    """Moved so that as much as possible lies in the photo; centred if the photo is smaller."""
    if length > whole:
        return (whole - length) / 2
    return min(max(start, 0.0), whole - length)


def _outline(cut: Image.Image, box: Box, area: _Area, colour: str) -> None:
    scale = cut.width / (area[2] - area[0])
    left, top = (box.x - area[0]) * scale, (box.y - area[1]) * scale
    corners = (left, top, left + box.width * scale, top + box.height * scale)
    ImageDraw.Draw(cut).rounded_rectangle(corners, 10, outline=colour, width=5)


def _nothing(size: tuple[int, int]) -> Image.Image:
    panel = Image.new("RGB", size, _PANEL)
    middle = size[0] / 2, size[1] / 2
    ImageDraw.Draw(panel).text(middle, "404", "#a39d92", ImageFont.load_default(size[0] // 4), "mm")
    return panel
