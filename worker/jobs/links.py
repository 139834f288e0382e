"""Links of photos: what in an address says which photo it is, and what is only a signature.

A signed link lives for a while; another signature of the same address is a fresh link to the same photo. Any
other parameter, of which nobody knows what it means, is part of the photo's name: `?id=7`, `?v=2`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

_PREFIXES: Final = ("x-amz-", "x-goog-", "x-oss-", "q-")
"""Amazon and every S3-compatible store, Google, Alibaba, Tencent."""
_NAMES: Final = frozenset(
    {
        *("expires", "signature", "key-pair-id", "policy"),  # CloudFront, S3's version 2
        *("awsaccesskeyid", "googleaccessid", "ossaccesskeyid", "urlprefix", "keyname", "sig"),
    }
)
_WITH_SIG: Final = frozenset(
    {
        *("se", "sp", "st", "sv", "sr", "spr", "sip", "sdd", "ses", "saoid", "suoid", "scid"),
        *("skoid", "sktid", "skt", "ske", "sks", "skv"),
    }
)
"""Azure's, too short to mean anything without its `sig`."""
_PORTS: Final = {"http": 80, "https": 443}

Name = tuple[str, str, tuple[tuple[str, str], ...]]
"""What names a photo: host with its port, path, and the parameters that are no signature."""


@dataclass(frozen=True, slots=True)
class PhotoLink:
    """Where a photo is fetched from, and which photo that is."""

    url: str
    member_id: str = ""
    position: int = 0
    """In the member's gallery, from 1; 0 is the selfie."""
    sha256: str | None = None
    """Of its content, where that is known."""
    moved_to: str | None = None
    """The member's photo at this position now, where that is another address: the same photo if its content
    has the ``sha256``."""


def name_of(url: str) -> Name:
    """What names the photo; equal for two links that differ in their scheme and signature only."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return url, "", ()
    # Both schemes' own ports are one: a link may move from http to https.
    host = (parts.hostname or "").lower()
    place = host if port in _PORTS.values() else f"{host}:{port}"
    return place, parts.path, _others(parse_qsl(parts.query, keep_blank_values=True))


def _others(parameters: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The parameters that are no signature."""
    signing = _NAMES
    if any(name.lower() == "sig" for name, _ in parameters):
        signing |= _WITH_SIG
    named = ((name, value) for name, value in parameters if name.lower() not in signing)
    return tuple(sorted(pair for pair in named if not pair[0].lower().startswith(_PREFIXES)))


def is_same_photo(url: str | None, other: str | None) -> bool:
    """Whether the two are links of one photo by what names it."""
    return url == other or (url is not None and other is not None and name_of(url) == name_of(other))


def may_be_link_of(url: str, answer: str) -> bool:
    """Whether the answer is a link of the photo at ``url``, which may have lost its query."""
    place, path, named = name_of(url)
    return name_of(answer)[:2] == (place, path) and {*named} <= {*name_of(answer)[2]}


def without_query(url: str) -> str:
    """Scheme, host and path: what may be kept of a link when it is needed no more."""
    return url.partition("?")[0].partition("#")[0]


def urls_of(message: Mapping[str, Any]) -> list[str]:
    """The links of a request by the photos' positions; the selfie's is 0."""
    return [str(message.get("selfie_url") or ""), *map(str, message.get("photo_urls") or ())]


def message_without_queries(message: Mapping[str, Any]) -> dict[str, Any]:
    """The message of a request with `without_query` of its links."""
    selfie, *photos = map(without_query, urls_of(message))
    return {**message, "selfie_url": selfie, "photo_urls": photos}


def current_links(
    urls: Sequence[str], now: Sequence[str], member_id: str, digests: Mapping[int, str]
) -> tuple[PhotoLink, ...]:
    """The photos at ``urls``, by position, with the links that the member has ``now``.

    ``digests``: SHA-256 of the contents by position, where they are known.
    """
    return tuple(
        _current(PhotoLink(url, member_id, position, digests.get(position)), now)
        for position, url in enumerate(urls)
    )


def _current(link: PhotoLink, now: Sequence[str]) -> PhotoLink:
    at_its_place = now[link.position : link.position + 1]
    for url in (*at_its_place, *now):
        if is_same_photo(link.url, url):
            return replace(link, url=url)
    return replace(link, moved_to=at_its_place[0]) if at_its_place and link.sha256 else link
