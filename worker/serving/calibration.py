"""Thresholds from members' own photos, in memory: nothing of a photo is kept but two numbers.

Selfies of different members of one declared gender are impostor pairs, without a label. The
database knows no ages, so pairs of every age count. Needs the packages of training
(`pipeline/requirements.txt`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np

from pipeline.bundles.bundle import with_head
from pipeline.bundles.identities import FittedOn
from pipeline.bundles.models import HeadParams, Models
from pipeline.errors import DataError
from pipeline.faces.types import Embeddings
from pipeline.fitting import metrics
from pipeline.fitting.calibration import Calibration, calibrate, pairs_of_members, recalibrated, with_genuine
from pipeline.fitting.fit import FEMALE, MALE, FitSettings
from pipeline.verdict import Gender, NotFetched, Photo
from worker.jobs.links import PhotoLink
from worker.store import Consenting, PublishedHead

AT_ONCE: Final = 8
"""Members whose photos are fetched at the same time."""
MAX_GENUINE: Final = 3
"""Labelled photos that are taken of one member."""
UNUSABLE: Final = "no usable face"
WITHDRAWN: Final = "consent withdrawn"
_CODES: Final = {Gender.MALE: MALE, Gender.FEMALE: FEMALE}

Faces = Sequence[Mapping[str, Embeddings] | None]


class Labels(Protocol):
    """The labels of the store, as a calibration needs them."""

    def calibration_photos(self, member_ids: Collection[str]) -> list[Consenting]:
        """Those of them who consent still."""


class Requests(Protocol):
    """The requests of the store, as a calibration needs them."""

    def note_contents(self, member_id: str, seen: Mapping[str, str]) -> bool:
        """What lies at these URLs now (SHA-256): other pictures than were judged are verified anew."""


Fetch = Callable[[Sequence[PhotoLink]], Sequence[Photo]]
Embed = Callable[[Photo, Sequence[Photo]], Faces]
"""`pipeline.verify.embed_usable_faces`."""


@dataclass(slots=True)
class Gathered:
    """Faces of members, in memory: (1, d) for each embedder."""

    members: list[str] = field(default_factory=list)
    genders: list[int] = field(default_factory=list)
    selfies: list[Mapping[str, Embeddings]] = field(default_factory=list)
    genuine: list[tuple[int, Mapping[str, Embeddings]]] = field(default_factory=list)
    """A labelled gallery face and the number of its member above."""
    lost: Counter[str] = field(default_factory=Counter)
    """Selfies that could not be used, by reason."""

    def add(self, member: Consenting, faces: Faces) -> None:
        """One member's selfie, and the labelled faces beside it."""
        selfie, *photos = faces
        if selfie is None:
            self.lost[UNUSABLE] += 1
            return
        self.genuine += [(len(self.members), face) for face in photos if face is not None]
        self.members.append(member.member_id)
        self.genders.append(_CODES[member.declared_gender])
        self.selfies.append(selfie)


@dataclass(frozen=True, slots=True)
class Measured:
    """What the members' pairs say of the thresholds."""

    calibration: Calibration
    fmr_before: float
    """Share of the impostor pairs that pass today's approve threshold."""
    fmr_before95: tuple[float, float] | None
    """None where no pair passes: resampling people would then tell nothing."""
    twins: int
    """Pairs that were left out: one picture under two IDs, or nearly."""
    genuine_unused: int
    """Labelled pairs, too few to set the different threshold."""


def gather(
    labels: Labels,
    requests: Requests,
    member_ids: Sequence[str],
    *,
    fetch: Fetch,
    embed: Embed,
    progress: Callable[[int, int | None], None],
) -> Gathered:
    """Fetch and embed the members' selfies; what cannot be fetched is counted. Raises StoreUnavailable."""
    found = Gathered()
    for start in range(0, len(member_ids), AT_ONCE):
        batch = member_ids[start : start + AT_ONCE]
        members = labels.calibration_photos(batch)  # asked for each batch: consent may end meanwhile
        found.lost[WITHDRAWN] += len(batch) - len(members)
        for member, selfie, photos in _fetched(fetch, members):
            requests.note_contents(member.member_id, _contents(member, [selfie, *photos]))
            if isinstance(selfie, NotFetched):
                found.lost[str(selfie.problem)] += 1
            else:
                found.add(member, embed(selfie, photos))
        progress(start + len(batch), len(member_ids))
    found.lost = +found.lost
    return found


def _fetched(
    fetch: Fetch, members: Sequence[Consenting]
) -> Iterator[tuple[Consenting, Photo, Sequence[Photo]]]:
    """Each member's selfie and labelled photos, all of them fetched at once."""
    links = [_links(member) for member in members]
    photos = iter(fetch([link for own in links for link in own]))
    for member, own in zip(members, links, strict=True):
        selfie, *labelled = [next(photos) for _ in own]
        yield member, selfie, labelled


def _links(member: Consenting) -> list[PhotoLink]:
    return [member.selfie, *member.genuine[-MAX_GENUINE:]]


def _contents(member: Consenting, photos: Sequence[Photo]) -> dict[str, str]:
    """SHA-256 by URL."""
    there = zip(_links(member), photos, strict=True)
    return {link.url: hashlib.sha256(photo).hexdigest() for link, photo in there if isinstance(photo, bytes)}


def measure(found: Gathered, params: HeadParams, fmr: float) -> Measured:
    """Both thresholds from the members' pairs.

    The different threshold is set by labelled pairs where there are enough to show its rate once, and
    stays as it is otherwise. Raises DataError where the impostor pairs are too few for the rate.
    """
    if not found.selfies:
        raise DataError("no consenting member has a selfie that can be used")
    settings, scorer = FitSettings(approve_fmr=fmr), params.scorer
    selfies = {name: np.concatenate([face[name] for face in found.selfies]) for name in scorer.towers}
    impostors, twins = pairs_of_members(scorer, selfies, np.array(found.genders), params.replay.score)
    pairs = impostors
    enough = len(found.genuine) * settings.different_fnmr >= 1
    if enough:
        owners = np.array([owner for owner, _ in found.genuine])
        gallery = {name: np.concatenate([face[name] for _, face in found.genuine]) for name in scorer.towers}
        own = {name: rows[owners] for name, rows in selfies.items()}
        pairs = with_genuine(impostors, scorer.scores(scorer.project(own), scorer.project(gallery)), owners)
    result = calibrate(pairs, settings, scorer.thresholds)
    passed = (impostors.scores >= scorer.thresholds.approve).astype(np.float64)
    interval = None
    if passed.any():
        interval = metrics.identity_bootstrap(passed, impostors.first, impostors.second, seed=1)
    return Measured(
        calibration=result,
        fmr_before=float(passed.mean()),
        fmr_before95=interval,
        twins=twins,
        genuine_unused=0 if enough else len(found.genuine),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Recalibrated:
    """A head with new thresholds, and what they rest on."""

    found: Gathered
    measured: Measured
    head: PublishedHead

    def figures(self) -> dict[str, Any]:
        """What stands beside the head in the database."""
        measured = self.measured
        return {
            "members": len(self.found.members),
            "left_out": dict(self.found.lost),
            "fmr_before": measured.fmr_before,
            "fmr_before95": measured.fmr_before95,
            "twins": measured.twins,
            **measured.calibration.facts(),
        }


def recalibrate(found: Gathered, models: Models, fmr: float, key: bytes) -> Recalibrated:
    """The head of ``models`` with its thresholds set on these members.

    With a ``key`` the head names them as keyed hashes, so that it is not measured on them by
    mistake. Raises DataError.
    """
    measured = measure(found, models.params, fmr)
    people = FittedOn.people(found.members, key) if key else None
    head = recalibrated(models.head, measured.calibration, fmr, people)
    manifest, text, packed = with_head(models.manifest, head)
    return Recalibrated(found, measured, PublishedHead(manifest.version, text.decode(), packed))
