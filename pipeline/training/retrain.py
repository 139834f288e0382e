"""A challenger out of members' faces: cleaned, split, trained from the champion on, held against it.

Whoever is in the test set is named by the caller, always the same people; nobody of them is ever
learned from, nor is anybody who shares a picture with them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.bundles.head import CALIBRATED, UNCALIBRATED, Head, HeadParams, compose
from pipeline.bundles.identities import FittedOn, Group, Learner
from pipeline.datasets.tables import CODES, NO_AGE
from pipeline.errors import DataError
from pipeline.fitting.fit import MALE, UNKNOWN, FaceTable, FitSettings, fit_gender
from pipeline.promotion.bootstrap import difference, draw_people, shares_of_faces
from pipeline.promotion.gate import GateReport, GateRules, check_challenger
from pipeline.promotion.label_checks import label_figures
from pipeline.promotion.paired_scores import FrozenFaces
from pipeline.score import GenderHead
from pipeline.training.data.cleaning import mislabelled, with_aliases_merged
from pipeline.training.data.pairs import split_by_identity
from pipeline.training.networks.projection import ENOUGH_FALSE_MATCHES, inherited, train_head
from pipeline.training.recipe import Recipe, TrainingFaces
from pipeline.verdict import Gender

Flags = NDArray[np.bool_]
Hashes = NDArray[np.uint64]

NAME = "retrained"
ROUNDS = 1000
"""Of the bootstrap by which a new gender head is compared with the champion's."""
NOBODY = 0
"""The hash of a face whose owner is not to be named in the bundle."""


@dataclass(frozen=True, slots=True, eq=False)
class MemberFaces:
    """n faces of members."""

    table: FaceTable
    tested: Flags
    """(n,) of members who are kept for the gate."""
    owner: Hashes
    """(n,) keyed hashes of the members (`pipeline.bundles.identities`), or `NOBODY`."""

    def only(self, chosen: Flags) -> MemberFaces:
        """The flagged faces."""
        return MemberFaces(self.table.only(chosen), self.tested[chosen], self.owner[chosen])

    @property
    def people(self) -> int:
        """How many."""
        return len(np.unique(self.table.identity))


@dataclass(frozen=True, slots=True, eq=False)
class Retrained:
    """The challenger's head, what the gate says of it, and what it was made of (JSON)."""

    head: Head
    gate: GateReport
    facts: Mapping[str, Any]


def table_of(
    champion: HeadParams,
    vectors: NDArray[np.float32],
    identity: NDArray[np.int64],
    gender: NDArray[np.str_],
    weight: NDArray[np.float64],
) -> FaceTable:
    """n members' faces; ``vectors`` (n, d) has the embedders' side by side in the order of their names.

    Members are the users' kind by definition. Raises DataError where the vectors are not such as the
    champion compares.
    """
    names = sorted(champion.dimensions)
    widths = [champion.dimensions[name] for name in names]
    if vectors.shape[1] != sum(widths):
        raise DataError(f"vectors of {vectors.shape[1]} numbers, the champion takes {sum(widths)}")
    parts = np.split(vectors, np.cumsum(widths)[:-1], axis=1)
    return FaceTable(
        embeddings=dict(zip(names, parts, strict=True)),
        identity=identity,
        gender=np.array([CODES[Gender(word)] for word in gender], dtype=np.int64),
        users_kind=np.ones(len(identity), dtype=np.bool_),
        weight=weight,
    )


def rules_of(chosen: Mapping[str, float]) -> GateRules:
    """The gate's rules with some of its numbers chosen otherwise. Raises DataError for other names."""
    defaults = {field.name: getattr(GateRules(), field.name) for field in fields(GateRules)}
    if wrong := sorted(name for name in chosen if not isinstance(defaults.get(name), int | float)):
        raise DataError(f"the gate has no rule {', '.join(wrong)}")
    return GateRules(**{name: type(defaults[name])(value) for name, value in chosen.items()})


def retrain(
    faces: MemberFaces,
    champion: Head,
    base: HeadParams,
    *,
    started_from: str,
    rules: GateRules,
    recipe: Recipe | None = None,
) -> Retrained:
    """Train on the faces that are not tested, and let the gate judge on those that are.

    ``base`` are the judges of the ``champion``'s head. Raises DataError where either are too few to
    give pairs.
    """
    recipe = recipe or Recipe()
    if not faces.tested.any() or faces.tested.all():
        raise DataError("all of the members' faces, or none, are in the test set: too few members")
    taught = label_figures(faces.table.only(~faces.tested), base)
    learned, tested, left_out = _split(faces, base)
    trained = train_head(TrainingFaces(learned.table, _no_ages(learned.table)), base, recipe)
    gender = _better_gender(base, trained.params, learned.table, recipe)
    params, best = replace(trained.params, gender=gender), trained.history.best
    facts = {
        "faces": len(learned.owner),
        "people": learned.people,
        "test_faces": len(tested.owner),
        "test_people": tested.people,
        **left_out,
        "seed": recipe.schedule.seed,
        "epochs": best,
        "held_out": [round(trained.history.held_out[epoch], 4) for epoch in (0, best)],
        "gender": "the champion's" if gender is base.gender else "new",
        "started_from": started_from,
    }
    frozen = FrozenFaces(tested.table, _no_ages(tested.table))
    gate = check_challenger(base, params, frozen, rules, taught)
    told = {
        "name": NAME,
        "fitted": dt.datetime.now(dt.UTC).date().isoformat(),
        "calibration": _calibration(champion, learned.table, recipe.fit),
        "embedders": champion.metadata["embedders"],
        "training": facts,
    }
    head = compose(params, told, _people(champion, base, params, learned))
    return Retrained(head, gate, facts)


def _split(faces: MemberFaces, base: HeadParams) -> tuple[MemberFaces, MemberFaces, dict[str, int]]:
    """Those to learn from and those to test on, cleaned; and how many were left out, by reason."""
    wrong = mislabelled(faces.table, base.scorer) & ~faces.tested
    faces = faces.only(~wrong)
    table, merged = with_aliases_merged(faces.table, base)
    faces = MemberFaces(table, faces.tested, faces.owner)
    shared = np.isin(table.identity, table.identity[faces.tested]) & ~faces.tested
    left_out = {
        "looks_like_another": int(wrong.sum()),
        "shared_with_the_test_set": int(shared.sum()),
        "merged_names": merged,
    }
    return faces.only(~faces.tested & ~shared), faces.only(faces.tested), left_out


def _better_gender(base: HeadParams, trained: HeadParams, table: FaceTable, recipe: Recipe) -> GenderHead:
    """The new gender head only if it is surely better than the champion's, which knows far more faces.

    Each half of the people is read by a head that was fitted on the other half; the test set is not
    asked, for the gate has only one look at it.
    """
    if trained.gender is base.gender:
        return base.gender
    known = table.only(table.gender != UNKNOWN)
    half = split_by_identity(known.identity, 0.5, recipe.schedule.seed)
    male = np.empty(len(half))
    try:
        for read in (half, ~half):
            fitted = fit_gender(known.only(~read), recipe.fit)
            male[read] = fitted.logits(known.only(read).embeddings)
    except DataError:
        return base.gender
    people, owner = np.unique(known.identity, return_inverse=True)
    drawn = draw_people(len(people), ROUNDS, recipe.schedule.seed)
    wrong = [
        (logits > 0) != (known.gender == MALE) for logits in (base.gender.logits(known.embeddings), male)
    ]
    told = difference(*(shares_of_faces(each, owner, drawn) for each in wrong))
    return trained.gender if told.high95 < 0 else base.gender


def _no_ages(table: FaceTable) -> NDArray[np.int64]:
    """Nobody's age is known."""
    return np.full(len(table.identity), NO_AGE, dtype=np.int64)


def _people(champion: Head, base: HeadParams, params: HeadParams, learned: MemberFaces) -> FittedOn:
    """Whom the new head learned from: the members, and whomever the champion did, if that is left in it."""
    before = inherited(champion, base, params, learned.table)
    named = np.unique(learned.owner[learned.owner != NOBODY])
    return before.joined(FittedOn((Group(Learner.HEAD, "", named),) if len(named) else ()))


def _calibration(champion: Head, learned: FaceTable, settings: FitSettings) -> str:
    """Still calibrated only where there were enough own pairs for both edges: else it may reject nobody."""
    genuine, impostor = pair_counts(learned)
    enough = (
        genuine * settings.different_fnmr >= ENOUGH_FALSE_MATCHES
        and impostor * settings.approve_fmr >= ENOUGH_FALSE_MATCHES
    )
    return CALIBRATED if enough and champion.metadata.get("calibration") == CALIBRATED else UNCALIBRATED


def pair_counts(table: FaceTable) -> tuple[int, int]:
    """Genuine pairs, and impostor pairs of one gender, among faces of known gender."""
    known = table.only(table.gender != UNKNOWN)
    photos = np.unique(known.identity, return_counts=True)[1]
    genuine = int((photos * (photos - 1) // 2).sum())
    alike = np.bincount(known.gender)
    return genuine, int((alike * (alike - 1) // 2).sum()) - genuine
