"""What every change of an operator has: a question first, which says what will happen, and then a notice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from starlette.responses import Response

from worker.console.visit import Visit, number_of

_SURE: Final = "sure"


@dataclass(frozen=True, slots=True)
class Notice:
    """What came of it, at the top of the page."""

    text: str
    kind: str = "good"
    """`good`, `warn` or `bad`."""
    details: Sequence[str] = ()
    """Lines of the store or the broker, in English."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Asked before anything changes."""

    title: str
    says: Sequence[str]
    """Sentences: what will happen."""
    yes: str
    """On the button."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """What is posted again with the answer."""
    danger: bool = False
    warning: str = ""
    detail: str = ""
    """Of the warning, in English."""
    must_tick: str = ""
    """What must be ticked first; posted as ``force``."""
    note_label: str = ""
    """Of a text that goes on record; posted as ``note``."""
    note_length: int = 0


def is_sure(visit: Visit) -> bool:
    """Whether the question was answered with yes."""
    return visit.form.get(_SURE) == "yes"


def ask(visit: Visit, question: Question, back: str) -> Response:
    """The question as a page, or for htmx as the content of a dialog. The answer goes to the same address."""
    template = "operating/question.html" if visit.is_fragment else "operating/question_page.html"
    return visit.page(template, question=question, back=back)


def tell(
    visit: Visit, notice: Notice, back: str, page: Callable[[Visit, Notice], Response], status: int = 200
) -> Response:
    """Why there is no question: at the top of the page, or for htmx in the dialog, as a part of its own."""
    if visit.is_fragment:
        return visit.page("operating/told.html", status, notice=notice, back=back)
    return page(visit, notice)


def numbers(text: str | None) -> list[int]:
    """The whole numbers of a field that may come several times; what is none is passed over."""
    return [found for line in (text or "").splitlines() if (found := number_of(line)) is not None]


def shortened(lines: Iterable[str], most: int = 20) -> tuple[str, ...]:
    """The first of these lines."""
    found = list(lines)
    return (*found[:most], *(["…"] if len(found) > most else []))
