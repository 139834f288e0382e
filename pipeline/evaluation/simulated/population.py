"""The populations of a simulation: people who meet only each other, and heads that were fitted on others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from zlib import crc32

import numpy as np

from pipeline.bundles.models import HeadParams
from pipeline.datasets.corrections import one_photo_each
from pipeline.datasets.data import LabelledFace, read_faces
from pipeline.datasets.embeddings import Dataset, EmbeddingTable
from pipeline.datasets.tables import PersonCodes, added_faces, face_table, for_gender_head, known_age
from pipeline.evaluation.impostors import seniors
from pipeline.evaluation.protocol import NOBODY, PairScorer, ScorerFor
from pipeline.evaluation.simulated.edits import retouched_faces
from pipeline.faces.types import Codes, Doubles, EmbeddingsByName, Rows
from pipeline.fitting.fit import FEMALE, MALE, UNKNOWN, FaceTable, FitSettings, fit_gender, replay_limits
from pipeline.score import GenderHead
from pipeline.verdict import Gender

PARTS = 5
"""Parts that people without a split are divided into."""


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """People who meet only each other, and heads that were fitted on none of them.

    ``table`` holds faces of known gender; ``ages`` (n,) years or `NO_AGE`; ``retouched``
    maps the row of a photo to that of its retouched version. Those rows are last in ``table`` and
    are only used as such: ``plain`` is the number of rows before them.
    """

    name: str
    table: FaceTable
    ages: Codes
    pair_scorer: PairScorer
    gender: GenderHead
    replay_score: float
    projected: EmbeddingsByName
    plain: int
    retouched: Mapping[int, int] = field(default_factory=dict)

    def score(self, row: int, others: Sequence[int]) -> Doubles:
        """(n,) fused scores of one face with others."""
        one = {name: rows[row : row + 1] for name, rows in self.projected.items()}
        many = {name: rows[list(others)] for name, rows in self.projected.items()}
        return np.asarray(self.pair_scorer.scorer.matrix(one, many)[0])


@dataclass(frozen=True, slots=True)
class Sources:
    """What a simulation uses beside the labelled people."""

    single_csvs: Sequence[Path] = ()
    """One photo of each person, with gender and age: impostors of the users' age."""
    gender_csvs: Sequence[Path] = ()
    """Further faces for the gender head."""
    retouched: int = 0
    """How many photos are retouched; with none the networks are not needed."""


@dataclass(frozen=True, slots=True, eq=False)
class PopulationFaces(Rows):
    """n faces with embeddings. ``ages`` (n,) are years or `NO_AGE`."""

    files: tuple[str, ...]
    table: FaceTable
    ages: Codes


@dataclass(frozen=True, slots=True, eq=False)
class Retouched:
    """Retouched versions of photos: their paths, and (n, d) embeddings by embedder."""

    files: Sequence[str]
    embeddings: EmbeddingsByName


@dataclass(frozen=True, slots=True)
class Heads:
    """The heads of populations.

    ``added`` are further faces for the gender head. ``fixed`` is a whole head, with which nothing is fitted.
    """

    scorer_for: ScorerFor
    settings: FitSettings = field(default_factory=FitSettings)
    added: FaceTable | None = None
    fixed: HeadParams | None = None

    def know_genders(self, others: FaceTable) -> bool:
        """Whether there is a gender head, or ``others`` and the added faces show both genders."""
        return self.fixed is not None or {MALE, FEMALE} <= set(self._with_added(others).gender.tolist())

    def gender(self, others: FaceTable) -> GenderHead:
        """The gender head, fitted on ``others`` and the added faces."""
        return self.fixed.gender if self.fixed else fit_gender(self._with_added(others), self.settings)

    def replay_score(self, scorer: PairScorer, others: FaceTable) -> float:
        """The score from which two photos count as one picture."""
        return (self.fixed.replay if self.fixed else replay_limits(scorer.scorer, others)).score

    def _with_added(self, others: FaceTable) -> FaceTable:
        return FaceTable.joined([others, self.added]) if self.added else others


def labelled_faces(
    faces: Sequence[LabelledFace], embedded: EmbeddingTable, people: PersonCodes
) -> PopulationFaces:
    """The faces that were found, with the lower end of their ages."""
    found, _ = embedded.found(faces)
    ages = np.array([known_age(face) for face in found], dtype=np.int64)
    return PopulationFaces(tuple(face.file for face in found), face_table(faces, embedded, people), ages)


def groups_by_split(faces: Sequence[LabelledFace], people: PersonCodes) -> dict[str, Codes]:
    """The people of each split; without splits, of five parts by a hash of the name."""
    named: dict[str, list[int]] = {}
    for face in faces:
        part = face.split or f"part {crc32(face.identity.encode()) % PARTS + 1}"
        named.setdefault(part, []).append(people.code(face.file))
    return {name: np.unique(codes) for name, codes in sorted(named.items())}


def build_populations(
    dataset: Dataset,
    named: Mapping[str, Codes],
    labelled: PopulationFaces,
    scorer_for: ScorerFor,
    sources: Sources,
    *,
    fixed: HeadParams | None = None,
) -> list[Population]:
    """A population for each named group of people, and one for each set of single photos.

    With ``fixed``, a whole head, nothing is fitted; otherwise a population needs a gender head that is
    fitted on others.
    """
    heads = Heads(scorer_for, added=_added(dataset, sources.gender_csvs), fixed=fixed)
    people = np.concatenate([np.empty(0, np.int64), *named.values()])
    inside = labelled.only(np.isin(labelled.table.identity, people))
    populations = populations_of(named, labelled, heads, _retouched(dataset, inside, sources.retouched))
    if not heads.know_genders(labelled.table):
        return populations
    return populations + [
        _population(path.stem, _single_photos(dataset, path), labelled.table, scorer_for(NOBODY), heads)
        for path in sources.single_csvs
    ]


def populations_of(
    named: Mapping[str, Codes], labelled: PopulationFaces, heads: Heads, retouched: Retouched | None = None
) -> list[Population]:
    """A population for each group with two people of known gender or more, where gender can be read."""
    table, populations = labelled.table, []
    for name, people in named.items():
        inside = np.isin(table.identity, people)
        chosen, others = labelled.only(inside & (table.gender != UNKNOWN)), table.only(~inside)
        if heads.know_genders(others) and len(np.unique(chosen.table.identity)) > 1:
            scorer = heads.scorer_for(people)
            populations.append(_population(name, chosen, others, scorer, heads, retouched=retouched))
    return populations


def evenly_chosen(files: Sequence[str], count: int) -> list[str]:
    """``count`` different files, evenly distributed over all."""
    every = sorted(set(files))
    return [every[i * len(every) // count] for i in range(min(count, len(every)))]


def _population(
    name: str,
    chosen: PopulationFaces,
    others: FaceTable,
    scorer: PairScorer,
    heads: Heads,
    *,
    retouched: Retouched | None = None,
) -> Population:
    """The population of the ``chosen`` faces; heads are fitted on ``others`` alone."""
    table, places = _with_retouched(chosen, retouched)
    return Population(
        name=name,
        table=table,
        ages=chosen.ages,
        pair_scorer=scorer,
        gender=heads.gender(others),
        replay_score=heads.replay_score(scorer, others),
        projected=scorer.scorer.project(table.embeddings),
        plain=len(chosen.files),
        retouched=places,
    )


def _with_retouched(chosen: PopulationFaces, retouched: Retouched | None) -> tuple[FaceTable, dict[int, int]]:
    """The table with its people's retouched photos appended, and the row of each by that of the original."""
    place = {file: row for row, file in enumerate(chosen.files)}
    kept = [i for i, file in enumerate(retouched.files) if file in place] if retouched else []
    if retouched is None or not kept:
        return chosen.table, {}
    rows = np.array([place[retouched.files[i]] for i in kept])
    versions = {name: embeddings[kept] for name, embeddings in retouched.embeddings.items()}
    copies = replace(chosen.table.only(rows), embeddings=versions)
    start = len(chosen.files)
    return FaceTable.joined([chosen.table, copies]), {int(row): start + i for i, row in enumerate(rows)}


def _added(dataset: Dataset, csvs: Sequence[Path]) -> FaceTable | None:
    faces = for_gender_head(face for path in csvs for face in read_faces(path))
    added = added_faces(faces, dataset.embed([face.file for face in faces]))
    return added if len(added.identity) else None


def _retouched(dataset: Dataset, labelled: PopulationFaces, count: int) -> Retouched | None:
    """Retouched photos of people with several, because only they can be honest members."""
    _, where, photos = np.unique(labelled.table.identity, return_inverse=True, return_counts=True)
    able = labelled.only((photos[where] > 1) & (labelled.table.gender != UNKNOWN))
    files = evenly_chosen(able.files, count)
    return Retouched(*retouched_faces(dataset, files)) if files else None


def _single_photos(dataset: Dataset, path: Path) -> PopulationFaces:
    faces = one_photo_each(face for face in seniors(path) if face.gender is not Gender.UNKNOWN)
    embedded = dataset.embed([face.file for face in faces])
    return labelled_faces(faces, embedded, PersonCodes(faces))
