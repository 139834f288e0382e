"""The contact sheet: one picture with a card for each member, with photos, faces and verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from pipeline.errors import ImageError
from pipeline.images.decode import decode
from pipeline.verdict import Box, Outcome, PhotoFinding, Status
from worker.demo.run import Result

Point = tuple[int, int]
"""Left and top, or width and height, in pixels of the sheet."""

Area = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of the photo; may reach beyond its edges."""

_SCALE: Final = 2  # drawn large and reduced at the end: smooth edges
_COLUMNS: Final = 3
_THUMB: Final = (148, 184)
_GAP: Final = 14
_INSET: Final = 26
_CARD: Final = (2 * _INSET + 4 * _THUMB[0] + 3 * _GAP, 342)
_MARGIN: Final = 36
_HEAD: Final = 96

_PANEL: Final = "#dcd8d0"
_FACE_SHARE: Final = 0.42  # of the thumbnail's width
_PAPER, _CARD_COLOUR, _INK, _FAINT = "#efece6", "#ffffff", "#22252b", "#7b808a"
_STATUS: Final = {
    Status.APPROVED: ("#2e8b57", "approved"),
    Status.REVIEW: ("#d98a00", "review"),
    Status.RETRY_PHOTO: ("#2f74c0", "another photo, please"),
    Status.REJECTED: ("#c0392b", "rejected"),
    Status.ERROR: ("#7d4fa3", "error"),
}
_GOOD: Final = frozenset({Outcome.SAME, Outcome.GROUP_SAME, Outcome.USABLE})
_BAD: Final = frozenset({Outcome.DIFFERENT})
_WORDS: Final = {
    Outcome.USABLE: "selfie",
    Outcome.GROUP_SAME: "in a group",
    Outcome.MEMBER_NOT_SEEN: "not in the group",
    Outcome.NOT_FETCHED: "no photo there",
    Outcome.NOT_COMPARED: "not compared",
}


def draw(results: Sequence[Result], photos: Path, target: Path) -> Path:
    """Draw the sheet and save it; returns where."""
    rows = -(-len(results) // _COLUMNS)
    width = 2 * _MARGIN + _COLUMNS * _CARD[0] + (_COLUMNS - 1) * _GAP * 2
    height = _HEAD + rows * (_CARD[1] + 2 * _GAP) + _MARGIN
    sheet = _Sheet(width, height)
    _headline(sheet, results)
    for number, result in enumerate(results):
        row, column = divmod(number, _COLUMNS)
        left = _MARGIN + column * (_CARD[0] + 2 * _GAP)
        _card(sheet, result, photos, (left, _HEAD + row * (_CARD[1] + 2 * _GAP)))
    sheet.save(target)
    return target


class _Sheet:
    """A canvas whose coordinates are those of the picture that comes out."""

    def __init__(self, width: int, height: int) -> None:
        self._size = width, height
        self._image = Image.new("RGB", (width * _SCALE, height * _SCALE), _PAPER)
        self._pen = ImageDraw.Draw(self._image)

    def box(self, at: Point, size: Point, colour: str, radius: int = 10) -> None:
        corners = [v * _SCALE for v in (*at, at[0] + size[0], at[1] + size[1])]
        self._pen.rounded_rectangle(corners, radius * _SCALE, fill=colour)

    def text(self, at: Point, text: str, size: int, colour: str = _INK, *, anchor: str = "ls") -> None:
        font = ImageFont.load_default(size * _SCALE)
        self._pen.text((at[0] * _SCALE, at[1] * _SCALE), text, colour, font, anchor)

    def paste(self, image: Image.Image, at: Point) -> None:
        mask = Image.new("L", image.size, 0)
        ImageDraw.Draw(mask).rounded_rectangle((0, 0, *image.size), 8 * _SCALE, fill=255)
        self._image.paste(image, (at[0] * _SCALE, at[1] * _SCALE), mask)

    def save(self, target: Path) -> None:
        self._image.resize(self._size, Image.Resampling.LANCZOS).save(target)


def _headline(sheet: _Sheet, results: Sequence[Result]) -> None:
    right = sum(result.as_expected for result in results)
    models = next((result.request.model_version for result in results if result.request.model_version), "-")
    sheet.text((_MARGIN, 54), "Is the member the person in the photos?", 30)
    sheet.text(
        (_MARGIN, 80), f"{right} of {len(results)} verdicts as expected  ·  models {models}", 16, _FAINT
    )


def _card(sheet: _Sheet, result: Result, photos: Path, at: Point) -> None:
    left, top = at
    sheet.box(at, _CARD, _CARD_COLOUR)
    sheet.text((left + _INSET, top + 36), result.scenario.situation, 20)
    sheet.text((left + _CARD[0] - _INSET, top + 36), result.scenario.member_id, 14, _FAINT, anchor="rs")
    place = left + _INSET
    for name, finding in zip(
        (result.scenario.selfie, *result.scenario.photos), result.request.findings, strict=False
    ):
        width = _THUMB[0] * 2 + _GAP if finding.faces > 1 else _THUMB[0]
        _photo(sheet, photos / name, finding, (place, top + 54), (width, _THUMB[1]))
        place += width + _GAP
    _verdict(sheet, result, at)


def _photo(sheet: _Sheet, file: Path, finding: PhotoFinding, at: Point, size: Point) -> None:
    colour, base = _colour(finding), at[1] + size[1] + 20
    sheet.paste(thumbnail(file, finding, (size[0] * _SCALE, size[1] * _SCALE), colour), at)
    sheet.text((at[0] + 2, base), _caption(finding), 14, colour)
    if finding.comparison is not None:
        similarity = f"{finding.comparison.similarity:.2f}"
        sheet.text((at[0] + size[0] - 2, base), similarity, 14, _FAINT, anchor="rs")


def _caption(finding: PhotoFinding) -> str:
    if finding.replay:
        return "same picture"
    return _WORDS.get(finding.outcome, finding.outcome.replace("_", " "))


def _colour(finding: PhotoFinding) -> str:
    if finding.replay:
        return _STATUS[Status.REVIEW][0]
    if finding.outcome in _GOOD:
        return _STATUS[Status.APPROVED][0]
    return _STATUS[Status.REJECTED][0] if finding.outcome in _BAD else _FAINT


def _verdict(sheet: _Sheet, result: Result, at: Point) -> None:
    """The coloured edge of the card, and its last line."""
    request = result.request
    colour, word = _STATUS[request.status] if request.status else (_FAINT, str(request.state))
    left, top = at[0] + _INSET, at[1] + _CARD[1] - 58
    sheet.box(at, (8, _CARD[1]), colour, 4)
    sheet.box((left, top), (208, 40), colour, 20)
    sheet.text((left + 104, top + 20), word, 18, "#ffffff", anchor="mm")
    sheet.text((left + 226, top + 17), (request.reason or "").replace("_", " "), 16)
    probability = request.gender_probability
    gender = f"looks {request.gender} ({probability:.2f})  ·  " if probability else ""
    details = f"{gender}declared {result.scenario.declared}  ·  {result.milliseconds:.0f} ms"
    sheet.text((left + 226, top + 36), details, 13, _FAINT)


def thumbnail(file: Path, finding: PhotoFinding, size: tuple[int, int], colour: str) -> Image.Image:
    """``size`` (width, height) in pixels. Where there is no photo, a panel that says so."""
    photo = _opened(file)
    if photo is None:
        return _nothing(size)
    area = _area(photo.size, finding, size)
    cut = _cut(photo, area, size)
    if finding.box is not None:
        _outline(cut, finding.box, area, colour)
    return cut


def _opened(file: Path) -> Image.Image | None:
    """As the pipeline sees it: a box is in the pixels of that picture."""
    if not file.is_file():
        return None
    try:
        return Image.fromarray(decode(file.read_bytes()).rgb)
    except ImageError:
        return None


def _area(photo: tuple[int, int], finding: PhotoFinding, size: tuple[int, int]) -> Area:
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


def _cut(photo: Image.Image, area: Area, size: tuple[int, int]) -> Image.Image:
    left, top, right, bottom = (round(v) for v in area)
    panel = Image.new("RGB", (right - left, bottom - top), _PANEL)
    panel.paste(photo, (-left, -top))
    return panel.resize(size, Image.Resampling.LANCZOS)


def _inside(start: float, length: float, whole: int) -> float:
    """Moved so that as much as possible lies in the photo; centred if the photo is smaller."""
    if length > whole:
        return (whole - length) / 2
    return min(max(start, 0.0), whole - length)


def _outline(cut: Image.Image, box: Box, area: Area, colour: str) -> None:
    scale = cut.width / (area[2] - area[0])
    left, top = (box.x - area[0]) * scale, (box.y - area[1]) * scale
    corners = (left, top, left + box.width * scale, top + box.height * scale)
    ImageDraw.Draw(cut).rounded_rectangle(corners, 10, outline=colour, width=5)


def _nothing(size: tuple[int, int]) -> Image.Image:
    panel = Image.new("RGB", size, _PANEL)
    middle = size[0] / 2, size[1] / 2
    ImageDraw.Draw(panel).text(middle, "404", "#a39d92", ImageFont.load_default(size[0] // 4), "mm")
    return panel
