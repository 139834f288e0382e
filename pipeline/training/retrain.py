"""Retrain: train a challenger from the champion on members' faces, and gate it.

The faces are cleaned and split. The caller names the people of the test set, always the same. Nobody of them
is trained on, nor is anybody who shares a picture with them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.bundles.head import CALIBRATED, UNCALIBRATED, Head
from pipeline.bundles.identities import FittedOn, Group, Hashes, Learner
from pipeline.bundles.models import HeadParams, compose
from pipeline.bundles.reference import KEY, Measured
from pipeline.datasets.tables import CODES, NO_AGE
from pipeline.errors import DataError
from pipeline.faces.types import Codes, Doubles, Flags, Floats, Rows
from pipeline.fitting.fit import MALE, UNKNOWN, FaceTable, FitSettings, fit_gender
from pipeline.fitting.reference import reference_on
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

NAME = "retrained"
ROUNDS = 1000
"""Rounds of the bootstrap by which a new gender head is compared with the champion's."""
NOBODY = 0
"""The hash of a face whose owner is not named in the bundle."""


@dataclass(frozen=True, slots=True, eq=False)
class MemberFaces(Rows):
    """n faces of members."""

    table: FaceTable
    is_test: Flags
    """(n,) the faces of members in the test set."""
    owner: Hashes
    """(n,) keyed hashes of the members (`pipeline.bundles.identities`), or `NOBODY`."""

    @property
    def people(self) -> int:
        return len(np.unique(self.table.identity))


@dataclass(frozen=True, slots=True, eq=False)
class Retrained:
    """The challenger's head, the gate's report, and facts about the training (JSON)."""

    head: Head
    gate: GateReport
    facts: Mapping[str, Any]


def table_of(
    champion: HeadParams,
    vectors: Floats,
    identity: Codes,
    gender: NDArray[np.str_],
    weight: Doubles,
) -> FaceTable:
    """n members' faces; ``vectors`` (n, d) has the embeddings side by side, ordered by embedder name.

    Members are the users' kind by definition. Raises DataError where the champion takes embeddings of other
    lengths.
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
    """The gate's rules with some numbers replaced. Raises DataError for unknown names."""
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
    """Train on the faces outside the test set, and gate on those in it.

    ``base`` are the parameters of the ``champion``. Raises DataError where either are too few to give pairs.
    """
    recipe = recipe or Recipe()
    if not faces.is_test.any() or faces.is_test.all():
        raise DataError("all of the members' faces, or none, are in the test set: too few members")
    training_labels = label_figures(faces.table.only(~faces.is_test), base)
    training, test, left_out = _split(faces, base)
    result = train_head(TrainingFaces(training.table, _no_ages(training.table)), base, recipe)
    gender = _better_gender(base, result.params, training.table, recipe)
    params, best = replace(result.params, gender=gender), result.history.best
    facts = {
        "faces": len(training.owner),
        "people": training.people,
        "test_faces": len(test.owner),
        "test_people": test.people,
        **left_out,
        "seed": recipe.schedule.seed,
        "epochs": best,
        "held_out": [round(result.history.held_out[epoch], 4) for epoch in (0, best)],
        "gender": "the champion's" if gender is base.gender else "new",
        "started_from": started_from,
    }
    frozen = FrozenFaces(test.table, _no_ages(test.table))
    gate = check_challenger(base, params, frozen, rules, training_labels)
    description = {
        "name": NAME,
        "fitted": dt.datetime.now(dt.UTC).date().isoformat(),
        "calibration": _calibration(champion, training.table, recipe.fit),
        "embedders": champion.metadata["embedders"],
        "training": facts,
        KEY: _reference(params, test.table),
    }
    head = compose(params, description, _people(champion, base, params, training))
    return Retrained(head, gate, facts)


def _reference(params: HeadParams, test: FaceTable) -> dict[str, Any] | None:
    """On the test set, of which nobody was trained on."""
    found = reference_on(params.scorer, test, Measured.TEST_SET)
    return None if found is None else found.facts()


def _split(faces: MemberFaces, base: HeadParams) -> tuple[MemberFaces, MemberFaces, dict[str, int]]:
    """The cleaned training and test faces, and how many were left out, by reason."""
    wrong = mislabelled(faces.table, base.scorer) & ~faces.is_test
    faces = faces.only(~wrong)
    table, merged = with_aliases_merged(faces.table, base)
    faces = MemberFaces(table, faces.is_test, faces.owner)
    shared = np.isin(table.identity, table.identity[faces.is_test]) & ~faces.is_test
    left_out = {
        "looks_like_another": int(wrong.sum()),
        "shared_with_the_test_set": int(shared.sum()),
        "merged_names": merged,
    }
    return faces.only(~faces.is_test & ~shared), faces.only(faces.is_test), left_out


def _better_gender(base: HeadParams, result: HeadParams, table: FaceTable, recipe: Recipe) -> GenderHead:
    """The new gender head only if it is certainly better than the champion's, which was fitted on more faces.

    Each half of the people is read by a head that was fitted on the other half. The test set is not used,
    since it must be new to the gate.
    """
    if result.gender is base.gender:
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
    apart = difference(*(shares_of_faces(each, owner, drawn) for each in wrong))
    return result.gender if apart.high95 < 0 else base.gender


def _no_ages(table: FaceTable) -> Codes:
    return np.full(len(table.identity), NO_AGE, dtype=np.int64)


def _people(champion: Head, base: HeadParams, params: HeadParams, training: MemberFaces) -> FittedOn:
    """The people that the new head was fitted on: the members, and those of the champion if they count."""
    before = inherited(champion, base, params, training.table)
    named = np.unique(training.owner[training.owner != NOBODY])
    return before.joined(FittedOn((Group(Learner.HEAD, "", named),) if len(named) else ()))


def _calibration(champion: Head, training: FaceTable, settings: FitSettings) -> str:
    """Calibrated only where the champion is, and there were enough own pairs for both thresholds."""
    genuine, impostor = pair_counts(training)
    enough = (
        genuine * settings.different_fnmr >= ENOUGH_FALSE_MATCHES
        and impostor * settings.approve_fmr >= ENOUGH_FALSE_MATCHES
    )
    return CALIBRATED if enough and champion.metadata.get("calibration") == CALIBRATED else UNCALIBRATED


def pair_counts(table: FaceTable) -> tuple[int, int]:
    """The numbers of genuine pairs, and of impostor pairs of one gender, among faces of known gender."""
    known = table.only(table.gender != UNKNOWN)
    photos = np.unique(known.identity, return_counts=True)[1]
    genuine = int((photos * (photos - 1) // 2).sum())
    faces = np.bincount(known.gender)
    return genuine, int((faces * (faces - 1) // 2).sum()) - genuine
