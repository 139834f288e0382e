"""Why a photo cannot be shown: values, with words in `worker.console.words.photos`."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from pipeline.verdict import FetchProblem, NotFetched


class PhotoProblem(StrEnum):
    """Why there is no picture; the words are `photo.problem.` and the value."""

    NOT_JUDGED = "not_judged"
    """The worker had no file of it, or none that can be decoded: nobody need answer it."""
    OTHER_FILE = "other_file"
    """At its address lies another file than the one that was judged."""
    LINK_EXPIRED = "link_expired"
    """The link has died, and there is no fresh one."""
    GONE = "gone"
    NOT_REACHED = "not_reached"
    """Its host does not answer, or not now."""
    BUSY = "busy"
    """Too many wait for photos already."""
    NOT_ALLOWED = "not_allowed"
    """Not an address that photos may be fetched from."""
    NOT_A_PHOTO = "not_a_photo"
    """Its host sends something else, or too much."""
    UNDECODABLE = "undecodable"
    TOO_LARGE = "too_large"
    """To decode: more pixels than are taken."""
    OUR_FAULT = "our_fault"

    @property
    def passing(self) -> bool:
        """Whether trying again may help."""
        return self in _PASSING


_PASSING: Final = frozenset(
    {
        *(PhotoProblem.LINK_EXPIRED, PhotoProblem.GONE, PhotoProblem.NOT_REACHED, PhotoProblem.BUSY),
        *(PhotoProblem.NOT_A_PHOTO, PhotoProblem.OTHER_FILE, PhotoProblem.OUR_FAULT),
    }
)
_OF_FETCHING: Final = {
    FetchProblem.GONE: PhotoProblem.GONE,
    FetchProblem.FORBIDDEN: PhotoProblem.LINK_EXPIRED,
    FetchProblem.EXPIRED: PhotoProblem.LINK_EXPIRED,
    FetchProblem.TOO_LARGE: PhotoProblem.NOT_A_PHOTO,
    FetchProblem.WRONG_TYPE: PhotoProblem.NOT_A_PHOTO,
    FetchProblem.BAD_RESPONSE: PhotoProblem.NOT_A_PHOTO,
    FetchProblem.REFUSED_ADDRESS: PhotoProblem.NOT_ALLOWED,
}


def problem_of(photo: NotFetched) -> PhotoProblem:
    """Of a photo that was not fetched; whoever looks needs fewer differences than an operator."""
    return _OF_FETCHING.get(photo.problem, PhotoProblem.NOT_REACHED)
