"""What a retraining learns from, as arrays: whose faces, which of them are kept for the test.

Who is in the test set is a matter of a keyed hash of the member's ID: the same people for every
challenger, for ever, and none of them is ever learned from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.bundles.identities import hashes_of
from pipeline.verdict import Gender
from worker.store import LearnedFace
from worker.store.tables.states import PairLabel
from worker.store.training.vectors import unpack
from worker.verification.sampling import drawn

TEST_SHARE: Final = 0.2
"""Of the members."""
OTHER_NETWORKS: Final = "other_networks"
"""Embedded by networks that are not the champion's, or not by all of them: a worker with an old bundle."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How faces are split and weighed."""

    key: bytes
    audit_share: float
    """Of the approvals that came to a person at random, 0..1: each of those stands for many."""

    def tested(self, member_id: str) -> bool:
        """Whether the member is in the test set."""
        return drawn(self.key, "test", member_id) < TEST_SHARE

    def weight(self, *, audited: bool) -> float:
        """One over the share in which such faces come to a person.

        All others are there because somebody doubted: they stand for themselves.
        """
        return 1 / self.audit_share if audited and self.audit_share else 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """n faces; nothing in it names anybody."""

    vectors: NDArray[np.float32]
    """(n, d), the embedders' side by side in the order of their names."""
    identity: NDArray[np.int64]
    gender: NDArray[np.str_]
    tested: NDArray[np.bool_]
    weight: NDArray[np.float64]
    owner: NDArray[np.uint64]
    """Keyed hashes of the members, for the bundle; 0 where there is no key."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """By name."""
        return {name: getattr(self, name) for name in self.__slots__}


def lesson_of(
    faces: Sequence[LearnedFace], networks: str, sampling: Sampling
) -> tuple[Lesson, Mapping[str, int]]:
    """The faces that the champion's networks have embedded, and how many others were left, by reason.

    A member is one person. A stranger's photo is a person of its own, never the member.
    """
    same = [face for face in faces if face.networks == networks]
    [(width, _)] = Counter(len(face.vectors) for face in same).most_common(1) or [(0, 0)]
    usable = [face for face in same if len(face.vectors) == width]
    codes: dict[object, int] = {}
    identity = [codes.setdefault(_person(n, face), len(codes)) for n, face in enumerate(usable)]
    weight = np.array([sampling.weight(audited=face.audited) for face in usable])
    vectors = [unpack(face.vectors) for face in usable]
    lesson = Lesson(
        vectors=np.stack(vectors) if vectors else np.empty((0, 0), np.float32),
        identity=np.array(identity, dtype=np.int64),
        gender=np.array([face.gender or Gender.UNKNOWN for face in usable], dtype=np.str_),
        tested=np.array([sampling.tested(face.member_id) for face in usable], dtype=np.bool_),
        weight=weight / weight.mean() if len(weight) else weight,
        owner=hashes_of([face.member_id for face in usable], sampling.key)
        if sampling.key
        else np.zeros(len(usable), np.uint64),
    )
    others = len(faces) - len(usable)
    return lesson, {OTHER_NETWORKS: others} if others else {}


def _person(number: int, face: LearnedFace) -> object:
    return number if face.label is PairLabel.IMPOSTOR else face.member_id
