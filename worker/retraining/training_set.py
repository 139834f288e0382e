"""The training set of a retraining, as arrays, and which of its faces are kept for the test.

A keyed hash of the member's ID decides who is in the test set: always the same people, for every
challenger, and none of them is ever learned from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.bundles.identities import hashes_of
from pipeline.decide import keyed_fraction
from pipeline.verdict import Gender
from worker.store import LearnedFace
from worker.store.tables.states import PairLabel
from worker.store.training.vectors import unpack

TEST_SHARE: Final = 0.2
"""Of the members."""
OTHER_NETWORKS: Final = "other_networks"
"""Embedded by other networks than the champion's, or not by all of them: by a worker with an old bundle."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How faces are split and weighted."""

    key: bytes
    audit_share: float
    """Of the approvals that the blind audit selects, 0..1: each of them stands for many."""

    def is_test(self, member_id: str) -> bool:
        return keyed_fraction(self.key, "test", member_id) < TEST_SHARE

    def weight(self, *, audited: bool) -> float:
        """One over the share of such faces that people see.

        All others were reviewed because of a doubt: their weight is 1.
        """
        return 1 / self.audit_share if audited and self.audit_share else 1.0


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """n faces; nothing in it names anybody."""

    vectors: NDArray[np.float32]
    """(n, d), the embedders' side by side in the order of their names."""
    identity: NDArray[np.int64]
    gender: NDArray[np.str_]
    is_test: NDArray[np.bool_]
    weight: NDArray[np.float64]
    owner: NDArray[np.uint64]
    """Keyed hashes of the members, for the bundle; 0 where there is no key."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {name: getattr(self, name) for name in self.__slots__}


def training_set_of(
    faces: Sequence[LearnedFace], networks: str, sampling: Sampling
) -> tuple[TrainingSet, Mapping[str, int]]:
    """The faces that the champion's networks have embedded, and how many others were left out, by reason.

    A member is one person. A photo labelled as an impostor is a person of its own, never the member.
    """
    same = [face for face in faces if face.networks == networks]
    [(width, _)] = Counter(len(face.vectors) for face in same).most_common(1) or [(0, 0)]
    usable = [face for face in same if len(face.vectors) == width]
    codes: dict[object, int] = {}
    identity = [codes.setdefault(_person(n, face), len(codes)) for n, face in enumerate(usable)]
    weight = np.array([sampling.weight(audited=face.audited) for face in usable])
    vectors = [unpack(face.vectors) for face in usable]
    training_set = TrainingSet(
        vectors=np.stack(vectors) if vectors else np.empty((0, 0), np.float32),
        identity=np.array(identity, dtype=np.int64),
        gender=np.array([face.gender or Gender.UNKNOWN for face in usable], dtype=np.str_),
        is_test=np.array([sampling.is_test(face.member_id) for face in usable], dtype=np.bool_),
        weight=weight / weight.mean() if len(weight) else weight,
        owner=hashes_of([face.member_id for face in usable], sampling.key)
        if sampling.key
        else np.zeros(len(usable), np.uint64),
    )
    others = len(faces) - len(usable)
    return training_set, {OTHER_NETWORKS: others} if others else {}


def _person(number: int, face: LearnedFace) -> object:
    return number if face.label is PairLabel.IMPOSTOR else face.member_id
