"""Labels of faces as arrays: who, which gender, what age."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NO_AGE = -1


NEAR_AGE = 10
"""Years that two impostors may lie apart, where both ages are known."""


BLOCK = 1024
"""Rows of a score matrix that are held at a time."""


Codes = NDArray[np.int64]


Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """What is known of n faces, each (n,): whose it is, `pipeline.fit`'s gender code, age or `NO_AGE`."""

    identity: Codes
    gender: Codes
    age: Codes

    def only(self, chosen: Flags | Codes) -> Labels:
        """The flagged faces, or those of these rows."""
        return Labels(self.identity[chosen], self.gender[chosen], self.age[chosen])

    def may_oppose(self, first: Codes, second: Codes) -> Flags:
        """Whether two faces make a fair impostor pair: two people, one gender, near age if known."""
        ages = self.age[first], self.age[second]
        unknown = (ages[0] == NO_AGE) | (ages[1] == NO_AGE)
        near = unknown | (np.abs(ages[0] - ages[1]) <= NEAR_AGE)
        strangers = self.identity[first] != self.identity[second]
        return np.asarray(strangers & near & (self.gender[first] == self.gender[second]))
