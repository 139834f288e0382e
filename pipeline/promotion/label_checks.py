"""Label checks: can the labels of a training set be right, by the current head?

Wrong labels hardly show in a head that is trained robustly, but would spoil another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.bundles.models import HeadParams
from pipeline.fitting.fit import FEMALE, MALE, UNKNOWN, FaceTable, genuine_scores_by_person

SURE = 0.95
"""From this probability on a gender reading contradicts a label."""


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """Shares (0..1) of labels that contradict their faces. JSON by `asdict`."""

    faces: int
    people: int
    people_with_pairs: int
    """With two photos or more."""
    wrong_identity: float
    """Of the genuine pairs, those below the current different threshold; every person has the same weight,
    however many photos there are."""
    wrong_gender: float
    """Of the faces with a gender label, those that surely show the other."""
    largest_person: float
    """Of the faces, those of the person with the most."""
    rarer_gender: float
    """Of the people of known gender, those of the rarer one."""


@dataclass(frozen=True, slots=True)
class LabelLimits:
    """The limits for the labels of a training set."""

    wrong_identity: float = 0.05
    """Over ten times the rate of the different threshold on correct labels (0.3 %). By an earlier head LFW
    has 0.8 %, pictures of East-Asian celebrities 2.9 %, but tight, poor crops 20 %, so it can be raised."""
    wrong_gender: float = 0.10
    largest_person: float = 0.10
    rarer_gender: float = 0.05


def label_figures(table: FaceTable, params: HeadParams) -> LabelFigures:
    """The label figures of a whole set, before wrong labels are removed."""
    people, owner, photos = np.unique(table.identity, return_inverse=True, return_counts=True)
    contradicted = _contradicted_pairs(table, params)
    return LabelFigures(
        faces=len(owner),
        people=len(people),
        people_with_pairs=len(contradicted),
        wrong_identity=float(np.mean(contradicted)) if contradicted else 0.0,
        wrong_gender=_wrong_gender(table, params),
        largest_person=float(photos.max() / len(owner)) if len(owner) else 0.0,
        rarer_gender=_rarer_gender(table),
    )


def label_problems(figures: LabelFigures, limits: LabelLimits) -> list[str]:
    """A sentence for every exceeded limit."""
    most = "(at most {:.1%} are allowed)".format
    sentences = {
        f"{figures.wrong_identity:.1%} of the labelled pairs contradict the faces: today's model is sure "
        f"that they show two people {most(limits.wrong_identity)}": (
            figures.wrong_identity > limits.wrong_identity
        ),
        f"{figures.wrong_gender:.1%} of the gender labels contradict the faces "
        f"{most(limits.wrong_gender)}": figures.wrong_gender > limits.wrong_gender,
        f"one person has {figures.largest_person:.1%} of the training faces "
        f"{most(limits.largest_person)}": figures.largest_person > limits.largest_person,
        f"only {figures.rarer_gender:.1%} of the people are of the rarer gender "
        f"(at least {limits.rarer_gender:.1%} are needed)": figures.rarer_gender < limits.rarer_gender,
    }
    return [sentence for sentence, broken in sentences.items() if broken]


def _contradicted_pairs(table: FaceTable, params: HeadParams) -> list[float]:
    """For each person with two photos or more, the share of the pairs below the different threshold."""
    different = params.scorer.thresholds.different
    return [float(np.mean(scores < different)) for scores in genuine_scores_by_person(params.scorer, table)]


def _wrong_gender(table: FaceTable, params: HeadParams) -> float:
    known = table.only(table.gender != UNKNOWN)
    if len(known.identity) == 0:
        return 0.0
    sure = np.log(SURE / (1 - SURE))
    towards = np.where(known.gender == MALE, 1, -1) * params.gender.logits(known.embeddings)
    return float(np.mean(towards < -sure))


def _rarer_gender(table: FaceTable) -> float:
    """By people; without any gender label the share is 0.5."""
    counts = [len(np.unique(table.identity[table.gender == gender])) for gender in (MALE, FEMALE)]
    return min(counts) / sum(counts) if sum(counts) else 0.5
