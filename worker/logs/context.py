"""What a log line is about: the job that this thread works on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Final, ParamSpec, TypeVar

from worker.logs.native import announce

_NOTHING: Final[Mapping[str, str]] = {}
_job: ContextVar[Mapping[str, str]] = ContextVar("job", default=_NOTHING)
_P = ParamSpec("_P")
_T = TypeVar("_T")


def current() -> Mapping[str, str]:
    """`job` (the request's ID), `member` and `queue`, as far as they are known."""
    return _job.get()


@contextmanager
def about(request_id: str, member_id: str, queue: str = "") -> Iterator[None]:
    """Every line logged inside is about this job.

    So are those after an error that comes out of it, for somebody logs it, until `forget` is called.
    """
    fields = {"job": request_id, "member": member_id, "queue": queue}
    before = _job.get()
    _set({name: value for name, value in fields.items() if value})
    yield
    _set(before)


def forget() -> None:
    """What is logged from here on is about no job."""
    if _job.get():
        _set(_NOTHING)


def in_context(call: Callable[_P, _T]) -> Callable[_P, _T]:
    """The same call, about the job of the thread that asks for it, in whatever thread it is made.

    One for each call: a context cannot be entered twice at a time.
    """
    return partial(copy_context().run, call)


def _set(fields: Mapping[str, str]) -> None:
    _job.set(fields)
    announce(fields)
