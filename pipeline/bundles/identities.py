"""Whom a bundle learned from, as keyed hashes: whoever knows a name can ask, nobody can read a list.

People of open sets are hashed with a salt that stands in the manifest, so that `evaluate` knows
them again. That protects no one whose name can be guessed, so an operator's own members are hashed
with a key that is not in the bundle.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.bundles.head import Head
from pipeline.errors import DataError

Hashes = NDArray[np.uint64]
ARRAYS = "identities."


class Learner(StrEnum):
    """What learned from somebody."""

    HEAD = "head"
    """Fitted in seconds, so an evaluation fits it again without the people whom it tests."""
    NETWORKS = "networks"
    """A fine-tuned backbone: it comes as it is."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """People under one key. ``salt`` is empty where the key is an operator's; ``hashes`` (n,) rise."""

    learner: Learner
    salt: str
    hashes: Hashes

    def holds(self, names: Iterable[str], key: bytes) -> set[str]:
        """Those of the names that are in the group."""
        chosen = sorted(set(names))
        secret = bytes.fromhex(self.salt) if self.salt else key
        known = np.isin(hashes_of(chosen, secret), self.hashes)
        return {name for name, there in zip(chosen, known, strict=True) if there}


@dataclass(frozen=True, slots=True, eq=False)
class FittedOn:
    """All the people that a bundle learned from."""

    groups: tuple[Group, ...] = ()

    @classmethod
    def people(cls, names: Iterable[str], key: bytes = b"", learner: Learner = Learner.HEAD) -> FittedOn:
        """These. Without a key the salt is made from the names: the same people, the same bundle."""
        chosen = sorted(set(names))
        if not chosen:
            return cls()
        salt = "" if key else hashlib.sha256("\n".join(chosen).encode()).hexdigest()[:32]
        secret = key or bytes.fromhex(salt)
        return cls((Group(learner, salt, np.sort(hashes_of(chosen, secret))),))

    def joined(self, other: FittedOn) -> FittedOn:
        """The people of both; who stands under the same key twice is kept once."""
        merged = {(group.learner, group.salt): group for group in self.groups}
        for group in other.groups:
            before = merged.get((group.learner, group.salt))
            hashes = np.union1d(before.hashes, group.hashes) if before else group.hashes
            merged[group.learner, group.salt] = Group(group.learner, group.salt, hashes)
        return FittedOn(tuple(merged.values()))

    def only(self, learner: Learner) -> FittedOn:
        """Those from whom this learned."""
        return FittedOn(tuple(group for group in self.groups if group.learner is learner))

    def known(self, names: Iterable[str], learners: Iterable[Learner], key: bytes = b"") -> set[str]:
        """Those of the names from whom one of ``learners`` learned.

        Raises DataError where that cannot be told without the key of the operator whose members
        the bundle learned from.
        """
        asked = [group for group in self.groups if group.learner in set(learners)]
        if not key and any(not group.salt for group in asked):
            raise DataError("the bundle learned from an operator's members: only the key tells who they are")
        chosen = list(names)
        return {name for group in asked for name in group.holds(chosen, key)}

    def arrays(self) -> dict[str, Hashes]:
        """By name, for a head."""
        return {f"{ARRAYS}{number}": group.hashes for number, group in enumerate(self.groups)}

    def facts(self) -> list[dict[str, Any]]:
        """What the manifest tells of each group."""
        return [
            {"learner": str(group.learner), "salt": group.salt, "people": len(group.hashes)}
            for group in self.groups
        ]

    @classmethod
    def read(cls, head: Head) -> FittedOn:
        """What `arrays` and `facts` gave; nobody for a head that names nobody."""
        told: list[Mapping[str, Any]] = head.metadata.get("fitted_on", [])
        return cls(
            tuple(
                Group(Learner(group["learner"]), group["salt"], head.arrays[f"{ARRAYS}{number}"])
                for number, group in enumerate(told)
            )
        )


def hashes_of(names: Sequence[str], key: bytes) -> Hashes:
    """(n,) eight bytes of each name's HMAC-SHA256."""
    digests = (hmac.digest(key, name.encode(), "sha256")[:8] for name in names)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)
