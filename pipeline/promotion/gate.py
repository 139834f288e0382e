"""The promotion gate: may a challenger take the champion's place without a person's look?

Only one that was *shown* to be not worse: for every figure, the upper end of the 95 % interval
of the difference must stay below a stated margin, on all test people together and on every kind
of them that is numerous enough. Few test people give wide intervals, so they promote nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from pipeline.bundles.head import HeadParams
from pipeline.fitting.fit import FEMALE, MALE, UNKNOWN
from pipeline.promotion.bootstrap import (
    Difference,
    Flags,
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
    """What "not worse" means, beside the limits of labels. Margins are shares (0.02 is two points)."""

    fmr: float = 0.001
    """At this false-match rate, each side at its own threshold, genuine pairs are compared."""
    fnmr_margin: float = 0.02
    slice_margin: float = 0.05
    gender_margin: float = 0.02
    gender_slice_margin: float = 0.05
    edge_fmr: float = 0.003
    """What may at most pass at the challenger's own approve edge. Set to 0.1 % on 230 people of LFW,
    it let 0.06 to 0.21 % of 70 others' impostors pass."""
    edge_fnmr_margin: float = 0.03
    """By how much more genuine pairs may fail at the challenger's own edge than at the champion's."""
    different_margin: float = 0.03
    """The same at the different edge: below it a member is called somebody else. By design one pair in
    200 is, so that with few test people two more mean nothing."""
    people: int = 50
    genuine: int = 200
    """With so many pairs and none lost, the rule of three still leaves 1.5 %: below the margin."""
    impostors: int = 5000
    """Five of them may pass at a rate of 0.1 %."""
    slice_people: int = 20
    slice_genuine: int = 60
    gender_faces: int = 60
    """Of each gender, where the two sides read gender differently."""
    most_people: int = 800
    most_photos: int = 6
    """Of one test person. With so many people, about six million impostor pairs are compared."""
    spread: float = 0.5
    """The least share of the champion's spread of embeddings, and of its gap between genuine and
    impostor scores, that a tower must keep."""
    rounds: int = 1000
    seed: int = 1


@dataclass(frozen=True, slots=True)
class GateReport:
    """The answer; ``reasons`` has a sentence for every failed check, ``figures`` is JSON-able."""

    passed: bool
    reasons: tuple[str, ...]
    figures: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Findings:
    """What one check says."""

    reasons: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, found: Difference, margin: float, told: str) -> None:
        """Note a difference where less is better; ``told`` names the figure in a sentence."""
        self.figures[name] = {**asdict(found), "margin": margin}
        if not found.high95 < margin:
            self.reasons.append(
                f"{told}: {found.champion:.2%} with the champion, {found.challenger:.2%} with the "
                f"challenger; it may be worse by {found.high95:.2%}, the margin is {margin:.2%}"
            )


def check_challenger(
    champion: HeadParams,
    challenger: HeadParams,
    faces: FrozenFaces,
    rules: GateRules | None = None,
    taught: LabelFigures | None = None,
) -> GateReport:
    """Compare both on ``faces``, whose people neither was fitted on (the caller sees to that).

    ``taught`` is what `label_figures` says of the challenger's training set.
    """
    rules = rules or GateRules()
    faces = faces.at_most(rules.most_people, rules.most_photos, rules.seed)
    paired = score_both(champion, challenger, faces, rules.rounds, rules.seed)
    checks = {"test_set": _test_set(paired, rules)}
    if taught is not None:
        checks["training_labels"] = Findings(label_problems(taught, rules), asdict(taught))
    if broken := _broken(paired.challenger):
        checks["numbers"] = broken
    elif len(paired.genuine) and len(paired.impostor):
        checks["collapse"] = _collapse(paired, rules)
        if not checks["test_set"].reasons:
            checks |= _comparisons(paired, rules)
    reasons = tuple(reason for found in checks.values() for reason in found.reasons)
    return GateReport(not reasons, reasons, {name: found.figures for name, found in checks.items()})


def _comparisons(paired: PairedScores, rules: GateRules) -> dict[str, Findings]:
    return {
        "fnmr_at_fmr": _told_apart(paired, rules),
        "at_approve_edge": _at_edges(paired, rules),
        "gender_errors": _gender(paired, rules),
    }


def _test_set(paired: PairedScores, rules: GateRules) -> Findings:
    """Are the test faces enough, and are their own labels to be believed?"""
    labels = label_figures(paired.faces.table, paired.champion.params)
    found = Findings(figures=asdict(labels))
    wanted = {
        "people": (paired.people, rules.people),
        "genuine pairs": (len(paired.genuine), rules.genuine),
        "impostor pairs": (len(paired.impostor), rules.impostors),
    }
    for what, (there, needed) in wanted.items():
        found.figures[what.replace(" ", "_")] = there
        if there < needed:
            found.reasons.append(
                f"the test set has {there} {what}, {needed} are needed: no automatic promotion"
            )
    if labels.wrong_identity > rules.wrong_identity:
        found.reasons.append(
            f"{labels.wrong_identity:.1%} of the test set's own pairs contradict their labels "
            f"(at most {rules.wrong_identity:.1%} are allowed): it can judge nobody"
        )
    return found


def _broken(side: Side) -> Findings | None:
    """Numbers that no comparison could see: a NaN is neither above nor below a limit."""
    thresholds = side.params.scorer.thresholds
    numbers = [
        side.genuine,
        side.impostor,
        side.male,
        np.array([thresholds.approve, thresholds.different, thresholds.scale]),
    ]
    if not all(np.isfinite(some).all() for some in numbers):
        return Findings(["the challenger's numbers are not finite"])
    if thresholds.approve < thresholds.different or thresholds.scale <= 0:
        return Findings(["the challenger's approve edge lies below its different edge"], asdict(thresholds))
    return None


def _collapse(paired: PairedScores, rules: GateRules) -> Findings:
    """Do the embeddings still differ between people? Asked of each tower, however little it weighs."""
    found = Findings()
    before = {name: _shape(paired, paired.champion, name) for name in paired.champion.embeddings}
    for name in paired.challenger.embeddings:
        now = _shape(paired, paired.challenger, name)
        then = before.get(name) or {key: min(one[key] for one in before.values()) for key in now}
        found.figures[name] = {"champion": then, "challenger": now}
        found.reasons.extend(
            f"the {name} embeddings have collapsed: {key.replace('_', ' ')} {now[key]:.3g}, "
            f"with the champion {then[key]:.3g}"
            for key in now
            if now[key] < rules.spread * then[key]
        )
    return found


def _shape(paired: PairedScores, side: Side, name: str) -> dict[str, float]:
    """How widely a tower's unit vectors lie (0: one point), in how many directions, and by how many
    standard deviations its cosines part genuine from impostor pairs.
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


def _kinds(paired: PairedScores, rules: GateRules) -> Iterator[tuple[str, Flags, Flags, bool]]:
    """Everybody and each slice: name, its genuine and impostor pairs, whether they are enough."""
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


def _told_apart(paired: PairedScores, rules: GateRules) -> Findings:
    """Genuine pairs lost at one false-match rate: how well each side tells people apart at all."""
    found = Findings()
    for name, genuine, impostor, enough in _kinds(paired, rules):
        if not enough:
            found.figures[name] = f"too few pairs: {genuine.sum()} genuine, {impostor.sum()} impostor"
            continue
        mates, strangers = paired.genuine.only(genuine), paired.impostor.only(impostor)
        both = []
        for side in (paired.champion, paired.challenger):
            beyond = resampled_thresholds(side.impostor[impostor], strangers, paired.drawn, rules.fmr)
            both.append(lost(side.genuine[genuine], mates, paired.drawn, beyond))
        margin = rules.fnmr_margin if name == EVERYBODY else rules.slice_margin
        found.add(name, difference(*both), margin, f"FNMR at FMR {rules.fmr:.1%} ({name})")
    return found


def _at_edges(paired: PairedScores, rules: GateRules) -> Findings:
    """Each side at the edge that it would be shipped with."""
    found = Findings()
    for name, _, impostor, enough in _kinds(paired, rules):
        if enough:
            _false_matches(paired, rules, found, name, impostor)
    insulted = _below(paired, lambda thresholds: thresholds.different)
    found.add("called_different", insulted, rules.different_margin, "genuine pairs called different people")
    if found.figures[EVERYBODY]["champion"] <= rules.edge_fmr:
        # else the champion lets too many in: a challenger that lets in fewer may lose more
        failed = _below(paired, lambda thresholds: thresholds.approve)
        found.add("fnmr", failed, rules.edge_fnmr_margin, "FNMR at the approve edge")
    return found


def _below(paired: PairedScores, edge: Callable[[Thresholds], float]) -> Difference:
    """The share of genuine pairs below an edge of each side's own."""
    failed = [
        shares(side.genuine < edge(side.params.scorer.thresholds), paired.genuine, paired.drawn)
        for side in (paired.champion, paired.challenger)
    ]
    return difference(failed[0], failed[1])


def _false_matches(paired: PairedScores, rules: GateRules, found: Findings, name: str, chosen: Flags) -> None:
    """The FMR at each side's approve edge.

    Everybody's must keep to the limit. A kind of people for whom the champion does not keep to it
    either must not get worse by as much again.
    """
    strangers = paired.impostor.only(chosen)
    rates = [
        shares(side.impostor[chosen] >= side.params.scorer.thresholds.approve, strangers, paired.drawn)
        for side in (paired.champion, paired.challenger)
    ]
    both = difference(rates[0], rates[1])
    found.figures[name] = {**asdict(both), "limit": rules.edge_fmr}
    if both.challenger > rules.edge_fmr and (name == EVERYBODY or both.high95 > rules.edge_fmr):
        found.reasons.append(
            f"FMR at the approve edge ({name}): {both.challenger:.3%} with the challenger, "
            f"{both.champion:.3%} with the champion, at most {rules.edge_fmr:.3%} is allowed"
        )


def _gender(paired: PairedScores, rules: GateRules) -> Findings:
    """Wrong readings of gender, by face."""
    found, gender = Findings(), paired.faces.table.gender
    if np.array_equal(paired.champion.male, paired.challenger.male):
        found.figures[EVERYBODY] = "both sides read every face alike"
        return found
    for name, code in (("women", FEMALE), ("men", MALE)):
        if (there := int((gender == code).sum())) < rules.gender_faces:
            found.reasons.append(
                f"the test set has {there} faces of {name}, {rules.gender_faces} are needed to judge a "
                "new gender head"
            )
    if found.reasons:
        return found
    wrong = [(side.male > 0) != (gender == MALE) for side in (paired.champion, paired.challenger)]
    for name, flags in {EVERYBODY: gender != UNKNOWN, **paired.slices()}.items():
        chosen = flags & (gender != UNKNOWN)
        if name != EVERYBODY and chosen.sum() < rules.gender_faces:
            continue
        both = [shares_of_faces(w[chosen], paired.owner[chosen], paired.drawn) for w in wrong]
        margin = rules.gender_margin if name == EVERYBODY else rules.gender_slice_margin
        found.add(name, difference(*both), margin, f"wrong gender ({name})")
    return found
