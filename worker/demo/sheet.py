"""The contact sheet: every member a card with selfie, gallery photos, the faces that were judged, and
the verdict. One picture, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from pipeline.verdict import Outcome, PhotoFinding, Status
from worker.demo.stage import Act
from worker.demo.thumbnail import thumbnail

Point = tuple[int, int]
"""Left and top, or width and height, in pixels of the sheet."""

_SCALE: Final = 2  # drawn large and reduced at the end: smooth edges
_COLUMNS: Final = 3
_THUMB: Final = (148, 184)
_GAP: Final = 14
_INSET: Final = 26
_CARD: Final = (2 * _INSET + 4 * _THUMB[0] + 3 * _GAP, 342)
_MARGIN: Final = 36
_HEAD: Final = 96

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


def draw(acts: Sequence[Act], photos: Path, target: Path) -> Path:
    """Draw the sheet and save it; returns where."""
    rows = -(-len(acts) // _COLUMNS)
    width = 2 * _MARGIN + _COLUMNS * _CARD[0] + (_COLUMNS - 1) * _GAP * 2
    height = _HEAD + rows * (_CARD[1] + 2 * _GAP) + _MARGIN
    sheet = _Sheet(width, height)
    _headline(sheet, acts)
    for number, act in enumerate(acts):
        row, column = divmod(number, _COLUMNS)
        left = _MARGIN + column * (_CARD[0] + 2 * _GAP)
        _card(sheet, act, photos, (left, _HEAD + row * (_CARD[1] + 2 * _GAP)))
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


def _headline(sheet: _Sheet, acts: Sequence[Act]) -> None:
    right = sum(act.as_expected for act in acts)
    models = next((act.request.model_version for act in acts if act.request.model_version), "-")
    sheet.text((_MARGIN, 54), "Is the member the person in the photos?", 30)
    sheet.text((_MARGIN, 80), f"{right} of {len(acts)} verdicts as expected  ·  models {models}", 16, _FAINT)


def _card(sheet: _Sheet, act: Act, photos: Path, at: Point) -> None:
    left, top = at
    sheet.box(at, _CARD, _CARD_COLOUR)
    sheet.text((left + _INSET, top + 36), act.role.story, 20)
    sheet.text((left + _CARD[0] - _INSET, top + 36), act.role.member_id, 14, _FAINT, anchor="rs")
    place = left + _INSET
    for name, finding in zip((act.role.selfie, *act.role.photos), _findings(act), strict=False):
        width = _THUMB[0] * 2 + _GAP if finding.faces > 1 else _THUMB[0]
        _photo(sheet, photos / name, finding, (place, top + 54), (width, _THUMB[1]))
        place += width + _GAP
    _verdict(sheet, act, at)


def _findings(act: Act) -> list[PhotoFinding]:
    return [finding for finding in (act.request.selfie, *act.request.photos) if finding is not None]


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


def _verdict(sheet: _Sheet, act: Act, at: Point) -> None:
    """The coloured edge of the card, and its last line."""
    request = act.request
    colour, word = _STATUS[request.status] if request.status else (_FAINT, str(request.state))
    left, top = at[0] + _INSET, at[1] + _CARD[1] - 58
    sheet.box(at, (8, _CARD[1]), colour, 4)
    sheet.box((left, top), (208, 40), colour, 20)
    sheet.text((left + 104, top + 20), word, 18, "#ffffff", anchor="mm")
    sheet.text((left + 226, top + 17), (request.reason or "").replace("_", " "), 16)
    probability = request.gender_probability
    gender = f"looks {request.gender} ({probability:.2f})  ·  " if probability else ""
    details = f"{gender}declared {act.role.declared}  ·  {act.milliseconds:.0f} ms"
    sheet.text((left + 226, top + 36), details, 13, _FAINT)
