"""What the pages of the console work with; built once in `worker.runtime`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from worker.console.photos.cache import PhotoCache
from worker.console.photos.loading import Fetch, PhotoLoader, without_photos
from worker.console.photos.service import ReviewPhotos
from worker.operating.operations import Operations
from worker.serving.references import References
from worker.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleRules:
    """How the console is reached and what it shows."""

    url: str
    """Where people open it, without a slash at the end."""
    proxies: tuple[str, ...] = ()
    sign_on_header: str = ""
    blur: bool = True
    zone: ZoneInfo

    @property
    def secure(self) -> bool:
        """Whether people reach it over TLS."""
        return self.url.startswith("https://")

    @property
    def hosts(self) -> list[str]:
        """Names that a request may be for; those of this machine are for the check whether it is alive."""
        return [urlsplit(self.url).hostname or "", "localhost", "127.0.0.1"]


def _nothing_to_operate() -> Operations:
    raise LookupError("this console was built for reviewers alone")


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the pages work with."""

    store: Store
    rules: ConsoleRules
    clock: Callable[[], datetime]
    fetch: Fetch = without_photos
    """How photos are fetched."""
    references: References | None = None
    """None where nothing can be known of heads."""
    photos: ReviewPhotos = field(init=False)
    operations_of: Callable[[], Operations] = _nothing_to_operate
    """Only the pages of operators ask for it."""

    def __post_init__(self) -> None:
        loader = PhotoLoader(self.fetch, PhotoCache())
        object.__setattr__(self, "photos", ReviewPhotos(self.store.case_photos, loader))

    @property
    def operations(self) -> Operations:
        """What operators do besides reading: always the same."""
        return self.operations_of()
