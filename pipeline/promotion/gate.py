"""The promotion gate: may a challenger replace the champion without a review?

Only where it is shown to be not worse: for every figure, the upper end of the 95 % interval of the difference
must stay below a margin, on all test people and on every kind of them that is numerous enough. Few test
people give wide intervals, with which nothing is promoted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from pipeline.bundles.models import HeadParams
from pipeline.faces.types import Flags
from pipeline.fitting.fit import FEMALE, MALE, UNKNOWN
from pipeline.promotion.bootstrap import (
    Difference,
    difference,
    lost,
    resampled_thresholds,
    shares,
    shares_of_faces,
)
from pipeline.promotion.label_checks import LabelFigures, LabelLimits, label_figures, label_problems
from pipeline.promotion.paired_scores import FrozenFaces, PairedScores, Side, score_both
from pipeline.score import Thresholds

EVERYBODY = "all"


@dataclass(frozen=True, slots=True)
class GateRules(LabelLimits):
    """The margins of "not worse" and the limits of labels. Margins are shares (0.02 is two points)."""

    fmr: float = 0.001
    """The false-match rate, each side at its own threshold, at which genuine pairs are compared."""
    fnmr_margin: float = 0.02
    slice_margin: float = 0.05
    gender_margin: float = 0.02
    gender_slice_margin: float = 0.05
    edge_fmr: float = 0.003
    """The highest FMR at the challenger's own approve threshold. Set to 0.1 % on 230 people of LFW, the
    threshold let 0.06 to 0.21 % of 70 others' impostors pass."""
    edge_fnmr_margin: float = 0.03
    """How many more genuine pairs may fail at the challenger's own approve threshold than at the
    champion's."""
    different_margin: float = 0.03
    """The same at the different threshold, below which a member counts as somebody else. By design one pair
    in 200 does, so that with few test people two more mean nothing."""
    people: int = 50
    genuine: int = 200
    """With so many pairs and none lost, the rule of three gives an upper end of 1.5 %, below the margin."""
    impostors: int = 5000
    """Five of them may pass at a rate of 0.1 %."""
    slice_people: int = 20
    slice_genuine: int = 60
    gender_faces: int = 60
    """Of each gender, where the two heads read gender differently."""
    most_people: int = 800
    most_photos: int = 6
    """Of one test person. With so many people, about six million impostor pairs are compared."""
    spread: float = 0.5
    """The least share of the champion's spread of embeddings, and of its gap between genuine and impostor
    scores, that a tower must keep."""
    rounds: int = 1000
    seed: int = 1


@dataclass(frozen=True, slots=True)
class GateReport:
    """The result; ``reasons`` has a sentence for every failed check, ``figures`` is JSON."""

    passed: bool
    reasons: tuple[str, ...]
    figures: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check."""

    reasons: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, check: Difference, margin: float, figure: str) -> None:
        """Add a difference where less is better; ``figure`` names it in a sentence."""
        self.figures[name] = {**asdict(check), "margin": margin}
        if not check.high95 < margin:
            self.reasons.append(
                f"{figure}: {check.champion:.2%} with the champion, {check.challenger:.2%} with the "
                f"challenger; it may be worse by {check.high95:.2%}, the margin is {margin:.2%}"
            )


def check_challenger(
    champion: HeadParams,
    challenger: HeadParams,
    faces: FrozenFaces,
    rules: GateRules | None = None,
    training_labels: LabelFigures | None = None,
) -> GateReport:
    """Compare both heads on ``faces``, whose people neither was fitted on.

    ``training_labels`` are the `label_figures` of the challenger's training set.
    """
    rules = rules or GateRules()
    faces = faces.at_most(rules.most_people, rules.most_photos, rules.seed)
    paired = score_both(champion, challenger, faces, rules.rounds, rules.seed)
    checks = {"test_set": _test_set(paired, rules)}
    if training_labels is not None:
        checks["training_labels"] = Check(label_problems(training_labels, rules), asdict(training_labels))
    if not_finite := _not_finite(paired.challenger):
        checks["numbers"] = not_finite
    elif len(paired.genuine) and len(paired.impostor):
        checks["collapse"] = _collapse(paired, rules)
        if not checks["test_set"].reasons:
            checks |= _comparisons(paired, rules)
    reasons = tuple(reason for check in checks.values() for reason in check.reasons)
    return GateReport(not reasons, reasons, {name: check.figures for name, check in checks.items()})


def _comparisons(paired: PairedScores, rules: GateRules) -> dict[str, Check]:
    return {
        "fnmr_at_fmr": _fnmr_at_fmr(paired, rules),
        "at_approve_edge": _at_own_thresholds(paired, rules),
        "gender_errors": _gender(paired, rules),
    }


def _test_set(paired: PairedScores, rules: GateRules) -> Check:
    """Whether there are enough test faces, and whether their labels can be right."""
    labels = label_figures(paired.faces.table, paired.champion.params)
    check = Check(figures=asdict(labels))
    wanted = {
        "people": (paired.people, rules.people),
        "genuine pairs": (len(paired.genuine), rules.genuine),
        "impostor pairs": (len(paired.impostor), rules.impostors),
    }
    for what, (count, needed) in wanted.items():
        check.figures[what.replace(" ", "_")] = count
        if count < needed:
            check.reasons.append(
                f"the test set has {count} {what}, {needed} are needed: no automatic promotion"
            )
    if labels.wrong_identity > rules.wrong_identity:
        check.reasons.append(
            f"{labels.wrong_identity:.1%} of the test set's own pairs contradict their labels "
            f"(at most {rules.wrong_identity:.1%} are allowed): it can judge nobody"
        )
    return check


def _not_finite(side: Side) -> Check | None:
    """A failed check for numbers that pass any comparison, such as NaN."""
    thresholds = side.params.scorer.thresholds
    numbers = [
        side.genuine,
        side.impostor,
        side.male,
        np.array([thresholds.approve, thresholds.different, thresholds.scale]),
    ]
    if not all(np.isfinite(some).all() for some in numbers):
        return Check(["the challenger's numbers are not finite"])
    if thresholds.approve < thresholds.different or thresholds.scale <= 0:
        return Check(
            ["the challenger's approve threshold lies below its different threshold"], asdict(thresholds)
        )
    return None


def _collapse(paired: PairedScores, rules: GateRules) -> Check:
    """Whether the embeddings of each tower still differ between people, however little it weighs."""
    check = Check()
    before = {name: _shape(paired, paired.champion, name) for name in paired.champion.embeddings}
    for name in paired.challenger.embeddings:
        now = _shape(paired, paired.challenger, name)
        then = before.get(name) or {key: min(one[key] for one in before.values()) for key in now}
        check.figures[name] = {"champion": then, "challenger": now}
        check.reasons.extend(
            f"the {name} embeddings have collapsed: {key.replace('_', ' ')} {now[key]:.3g}, "
            f"with the champion {then[key]:.3g}"
            for key in now
            if now[key] < rules.spread * then[key]
        )
    return check


def _shape(paired: PairedScores, side: Side, name: str) -> dict[str, float]:
    """A tower's spread of unit vectors (0: one point), its number of directions, and its gap.

    The gap is the distance between the cosines of genuine and impostor pairs, in standard deviations.
    """
    embeddings = side.embeddings[name].astype(np.float64)
    centred = embeddings - embeddings.mean(axis=0)
    variances = np.linalg.eigvalsh(centred.T @ centred / len(embeddings))
    cosines = [
        np.einsum("ij,ij->i", embeddings[pairs.first[some]], embeddings[pairs.second[some]])
        for pairs in (paired.genuine, paired.impostor)
        for some in [np.linspace(0, len(pairs) - 1, min(len(pairs), 100_000)).astype(np.int64)]
    ]
    noise = float(np.sqrt((cosines[0].var() + cosines[1].var()) / 2))
    return {
        "spread": float(variances.sum()),
        "directions": float(variances.sum() ** 2 / max(float((variances**2).sum()), 1e-12)),
        "gap": float(cosines[0].mean() - cosines[1].mean()) / max(noise, 1e-6),
    }


def _slices(paired: PairedScores, rules: GateRules) -> Iterator[tuple[str, Flags, Flags, bool]]:
    """All pairs and each slice: name, its genuine and impostor pairs, whether they are enough."""
    all_of = [np.ones(len(pairs), dtype=bool) for pairs in (paired.genuine, paired.impostor)]
    yield EVERYBODY, all_of[0], all_of[1], True
    for name, flags in paired.slices().items():
        genuine, impostor = paired.genuine.among(flags), paired.impostor.among(flags)
        people = len(np.unique(paired.owner[flags]))
        enough = (
            people >= rules.slice_people
            and genuine.sum() >= rules.slice_genuine
            and impostor.sum() >= rules.impostors
        )
        yield name, genuine, impostor, bool(enough)


def _fnmr_at_fmr(paired: PairedScores, rules: GateRules) -> Check:
    """The FNMR of each head at one false-match rate."""
    check = Check()
    for name, genuine, impostor, enough in _slices(paired, rules):
        if not enough:
            check.figures[name] = f"too few pairs: {genuine.sum()} genuine, {impostor.sum()} impostor"
            continue
        genuine_pairs, impostor_pairs = paired.genuine.only(genuine), paired.impostor.only(impostor)
        both = []
        for side in (paired.champion, paired.challenger):
            beyond = resampled_thresholds(side.impostor[impostor], impostor_pairs, paired.drawn, rules.fmr)
            both.append(lost(side.genuine[genuine], genuine_pairs, paired.drawn, beyond))
        margin = rules.fnmr_margin if name == EVERYBODY else rules.slice_margin
        check.add(name, difference(*both), margin, f"FNMR at FMR {rules.fmr:.1%} ({name})")
    return check


def _at_own_thresholds(paired: PairedScores, rules: GateRules) -> Check:
    """The error rates of each head at its own thresholds."""
    check = Check()
    for name, _, impostor, enough in _slices(paired, rules):
        if enough:
            _false_matches(paired, rules, check, name, impostor)
    called_different = _below(paired, lambda thresholds: thresholds.different)
    check.add(
        "called_different", called_different, rules.different_margin, "genuine pairs called different people"
    )
    if check.figures[EVERYBODY]["champion"] <= rules.edge_fmr:
        # else the champion has too many false matches, and a challenger may lose more genuine pairs
        failed = _below(paired, lambda thresholds: thresholds.approve)
        check.add("fnmr", failed, rules.edge_fnmr_margin, "FNMR at the approve threshold")
    return check


def _below(paired: PairedScores, threshold: Callable[[Thresholds], float]) -> Difference:
    """The share of genuine pairs below a threshold of each head's own."""
    failed = [
        shares(side.genuine < threshold(side.params.scorer.thresholds), paired.genuine, paired.drawn)
        for side in (paired.champion, paired.challenger)
    ]
    return difference(failed[0], failed[1])


def _false_matches(paired: PairedScores, rules: GateRules, check: Check, name: str, chosen: Flags) -> None:
    """The FMR at each head's approve threshold.

    That of all pairs must keep to the limit. A slice for which the champion exceeds the limit must not get
    worse by as much again.
    """
    impostor_pairs = paired.impostor.only(chosen)
    rates = [
        shares(side.impostor[chosen] >= side.params.scorer.thresholds.approve, impostor_pairs, paired.drawn)
        for side in (paired.champion, paired.challenger)
    ]
    both = difference(rates[0], rates[1])
    check.figures[name] = {**asdict(both), "limit": rules.edge_fmr}
    if both.challenger > rules.edge_fmr and (name == EVERYBODY or both.high95 > rules.edge_fmr):
        check.reasons.append(
            f"FMR at the approve threshold ({name}): {both.challenger:.3%} with the challenger, "
            f"{both.champion:.3%} with the champion, at most {rules.edge_fmr:.3%} is allowed"
        )


def _gender(paired: PairedScores, rules: GateRules) -> Check:
    check, gender = Check(), paired.faces.table.gender
    if np.array_equal(paired.champion.male, paired.challenger.male):
        check.figures[EVERYBODY] = "both sides read every face alike"
        return check
    for name, code in (("women", FEMALE), ("men", MALE)):
        if (count := int((gender == code).sum())) < rules.gender_faces:
            check.reasons.append(
                f"the test set has {count} faces of {name}, {rules.gender_faces} are needed to judge a "
                "new gender head"
            )
    if check.reasons:
        return check
    wrong = [(side.male > 0) != (gender == MALE) for side in (paired.champion, paired.challenger)]
    for name, flags in {EVERYBODY: gender != UNKNOWN, **paired.slices()}.items():
        chosen = flags & (gender != UNKNOWN)
        if name != EVERYBODY and chosen.sum() < rules.gender_faces:
            continue
        both = [shares_of_faces(w[chosen], paired.owner[chosen], paired.drawn) for w in wrong]
        margin = rules.gender_margin if name == EVERYBODY else rules.gender_slice_margin
        check.add(name, difference(*both), margin, f"wrong gender ({name})")
    return check
