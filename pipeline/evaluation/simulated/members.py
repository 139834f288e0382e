"""Simulated members: who signs up and which photos they send, drawn from labelled faces.

The mix of photos is an assumption, see `Mix`; the faces are real. A retouched photo is a real one that was
edited (`pipeline.evaluation.simulated.edits`). An old one is the photo of that person with the lowest score
against the selfie, since the open sets hold no dates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from pipeline.datasets.tables import NEAR_AGE
from pipeline.evaluation.simulated.population import Population
from pipeline.faces.types import Random

LOOK_ALIKES = 20
"""A look-alike has the highest score among so many people of the same gender."""


class MemberKind(StrEnum):
    """Honest, or an impostor who shows another person's photos."""

    HONEST = "honest"
    IMPOSTOR = "impostor"
    LOOK_ALIKE = "look_alike"
    """An impostor who has chosen the most similar of several people."""


class Sent(StrEnum):
    """The kind of a gallery photo."""

    SOLO = "solo"
    OLD = "old"
    RETOUCHED = "retouched"
    GROUP = "group"
    JUNK = "junk"
    """No face: a landscape, a flower, a dog."""


@dataclass(frozen=True, slots=True)
class Mix:
    """How often members send which photos. Assumed, because no figures are known."""

    photos: tuple[float, ...] = (0.25, 0.20, 0.20, 0.15, 0.10, 0.10)
    """Probability of 1 to 6 photos; fewer are sent where a person has no more."""
    sent: Mapping[Sent, float] = field(
        default_factory=lambda: {
            Sent.SOLO: 0.62,
            Sent.OLD: 0.08,
            Sent.RETOUCHED: 0.08,
            Sent.GROUP: 0.14,
            Sent.JUNK: 0.08,
        }
    )
    junk_selfie: float = 0.02
    group_without_owner: float = 0.2
    most_in_group: int = 5


@dataclass(frozen=True, slots=True)
class Photo:
    """A gallery photo: rows of its faces in the population's table."""

    sent: Sent
    faces: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """A member. ``selfie`` is a row of the population's table, None for a selfie without a face."""

    kind: MemberKind
    face: int
    """A row of the person in front of the camera."""
    selfie: int | None
    photos: tuple[Photo, ...]


class MemberSampler:
    """Samples members from a population; the same random numbers give the same members."""

    def __init__(self, population: Population, mix: Mix, rng: Random) -> None:
        self._population, self._mix, self._rng = population, mix, rng
        owner = population.table.identity[: population.plain]
        self._photos = {int(who): np.flatnonzero(owner == who).tolist() for who in np.unique(owner)}
        self._gender = {who: int(population.table.gender[rows[0]]) for who, rows in self._photos.items()}
        self._age = {who: int(population.ages[rows[0]]) for who, rows in self._photos.items()}

    def draw(self, kind: MemberKind, count: int) -> Iterator[Member]:
        """``count`` members, men and women in turn where there are both."""
        able = [who for who, rows in self._photos.items() if kind is not MemberKind.HONEST or len(rows) > 1]
        by_gender = [[who for who in able if self._gender[who] == gender] for gender in (0, 1)]
        sides = [people for people in by_gender if len(people) > (kind is not MemberKind.HONEST)]
        for turn in range(count if sides else 0):
            people = sides[turn % len(sides)]
            who = people[self._rng.integers(len(people))]
            owner = who if kind is MemberKind.HONEST else self._victim(kind, who, people)
            if owner is not None:
                yield self._member(kind, who, owner)

    def _victim(self, kind: MemberKind, who: int, people: Sequence[int]) -> int | None:
        """The person whose photos an impostor shows: of one gender and, where it is known, of near age."""
        others = [p for p in people if p != who and abs(self._age[p] - self._age[who]) <= NEAR_AGE]
        if not others:
            return None
        if kind is MemberKind.IMPOSTOR:
            return others[int(self._rng.integers(len(others)))]
        some = [others[i] for i in self._rng.permutation(len(others))[:LOOK_ALIKES]]
        scores = self._population.score(self._photos[who][0], [self._photos[p][0] for p in some])
        return int(some[int(np.argmax(scores))])

    def _member(self, kind: MemberKind, who: int, owner: int) -> Member:
        mine = self._shuffled(self._photos[who])
        selfie = mine[0]
        left = mine[1:] if who == owner else self._shuffled(self._photos[owner])
        wanted = 1 + int(self._rng.choice(len(self._mix.photos), p=self._mix.photos))
        photos = tuple(p for p in (self._photo(selfie, owner, left) for _ in range(wanted)) if p)
        face = None if self._rng.random() < self._mix.junk_selfie else selfie
        return Member(kind, selfie, face, photos or (Photo(Sent.JUNK),))

    def _photo(self, selfie: int, owner: int, left: list[int]) -> Photo | None:
        """The next photo, removed from ``left``; None where the person has no more."""
        kinds = list(self._mix.sent)
        sent = kinds[int(self._rng.choice(len(kinds), p=list(self._mix.sent.values())))]
        if sent is Sent.JUNK:
            return Photo(sent)
        if not left:
            return None
        if sent is Sent.OLD:
            row = left.pop(int(np.argmin(self._population.score(selfie, left))))
            return Photo(sent, (row,))
        row = left.pop()
        if sent is Sent.GROUP:
            return Photo(sent, self._group(owner, row))
        if sent is Sent.RETOUCHED and row in self._population.retouched:
            return Photo(sent, (self._population.retouched[row],))
        return Photo(Sent.SOLO, (row,))

    def _group(self, owner: int, row: int) -> tuple[int, ...]:
        """Two faces or more, mostly with the owner's."""
        size = int(self._rng.integers(2, self._mix.most_in_group + 1))
        around = [int(i) for i in self._rng.permutation(self._population.plain)[: 4 * size]]
        others = [i for i in around if self._population.table.identity[i] != owner][:size]
        if self._rng.random() < self._mix.group_without_owner:
            return tuple(others)
        return (row, *others[1:])

    def _shuffled(self, rows: Sequence[int]) -> list[int]:
        return [rows[i] for i in self._rng.permutation(len(rows))]
