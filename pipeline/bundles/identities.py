"""The people that a bundle was fitted on, as keyed hashes: a name can be checked, but no list can be read.

People of open sets are hashed with a salt that is in the manifest, so that `evaluate` recognises them. That
does not protect a name that can be guessed, so an operator's own members are hashed with a key that is not in
the bundle.
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

from pipeline.errors import DataError

Hashes = NDArray[np.uint64]
ARRAYS = "identities."


class Learner(StrEnum):
    """What was fitted on somebody."""

    HEAD = "head"
    """Fitted in seconds, so an evaluation fits it again without the tested people."""
    NETWORKS = "networks"
    """A fine-tuned backbone, which an evaluation does not train again."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """People under one key. ``salt`` is empty where the key is an operator's; ``hashes`` (n,) are sorted."""

    learner: Learner
    salt: str
    hashes: Hashes

    def holds(self, names: Iterable[str], key: bytes) -> set[str]:
        """The names that are in the group."""
        chosen = sorted(set(names))
        secret = bytes.fromhex(self.salt) if self.salt else key
        known = np.isin(hashes_of(chosen, secret), self.hashes)
        return {name for name, there in zip(chosen, known, strict=True) if there}


@dataclass(frozen=True, slots=True, eq=False)
class FittedOn:
    """All people that a bundle was fitted on."""

    groups: tuple[Group, ...] = ()

    @classmethod
    def people(cls, names: Iterable[str], key: bytes = b"", learner: Learner = Learner.HEAD) -> FittedOn:
        """A group of these people.

        Without a key the salt is derived from the names, so that bundles are reproducible.
        """
        chosen = sorted(set(names))
        if not chosen:
            return cls()
        salt = "" if key else hashlib.sha256("\n".join(chosen).encode()).hexdigest()[:32]
        secret = key or bytes.fromhex(salt)
        return cls((Group(learner, salt, np.sort(hashes_of(chosen, secret))),))

    def joined(self, other: FittedOn) -> FittedOn:
        """The people of both; the same hash under the same key is kept once."""
        merged = {(group.learner, group.salt): group for group in self.groups}
        for group in other.groups:
            before = merged.get((group.learner, group.salt))
            hashes = np.union1d(before.hashes, group.hashes) if before else group.hashes
            merged[group.learner, group.salt] = Group(group.learner, group.salt, hashes)
        return FittedOn(tuple(merged.values()))

    def only(self, learner: Learner) -> FittedOn:
        """The people that this learner was fitted on."""
        return FittedOn(tuple(group for group in self.groups if group.learner is learner))

    def known(self, names: Iterable[str], learners: Iterable[Learner], key: bytes = b"") -> set[str]:
        """The names that one of ``learners`` was fitted on.

        Raises DataError where the bundle was fitted on an operator's members and the key is missing.
        """
        asked = [group for group in self.groups if group.learner in set(learners)]
        if not key and any(not group.salt for group in asked):
            raise DataError("the bundle learned from an operator's members: only the key tells who they are")
        chosen = list(names)
        return {name for group in asked for name in group.holds(chosen, key)}

    def arrays(self) -> dict[str, Hashes]:
        """The hashes by name, for a head's arrays."""
        return {f"{ARRAYS}{number}": group.hashes for number, group in enumerate(self.groups)}

    def facts(self) -> list[dict[str, Any]]:
        """The description of each group, for a head's metadata."""
        return [
            {"learner": str(group.learner), "salt": group.salt, "people": len(group.hashes)}
            for group in self.groups
        ]

    @classmethod
    def read(cls, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> FittedOn:
        """The reverse of `arrays` and `facts`; empty for a head without them."""
        groups: list[Mapping[str, Any]] = metadata.get("fitted_on", [])
        return cls(
            tuple(
                Group(Learner(group["learner"]), group["salt"], arrays[f"{ARRAYS}{number}"])
                for number, group in enumerate(groups)
            )
        )


def hashes_of(names: Sequence[str], key: bytes) -> Hashes:
    """(n,) the first eight bytes of each name's HMAC-SHA256."""
    digests = (hmac.digest(key, name.encode(), "sha256")[:8] for name in names)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)
