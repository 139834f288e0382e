"""Poisoned training sets: the head that comes of each is rejected by the gate, which says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.bundles.load import load_models
from pipeline.bundles.models import HeadParams
from pipeline.datasets.data import LabelledFace, read_faces
from pipeline.datasets.embeddings import Dataset
from pipeline.datasets.tables import NO_AGE, PersonCodes, face_table
from pipeline.errors import DataError
from pipeline.faces.occlusion import OcclusionClassifier
from pipeline.faces.quality import QualityLimits
from pipeline.fitting.fit import FEMALE, MALE, FaceTable, FitSettings, fit_gender, fit_scorer, replay_limits
from pipeline.promotion.gate import GateReport, GateRules, check_challenger
from pipeline.promotion.label_checks import label_figures
from pipeline.promotion.paired_scores import FrozenFaces
from pipeline.training.data.cleaning import mislabelled, with_aliases_merged
from pipeline.training.networks.learning import Schedule
from pipeline.training.networks.projection import train_head
from pipeline.training.recipe import Recipe, TrainingFaces
from support.labelled import need_genders

QUICK = Recipe(schedule=Schedule(epochs=2, batch=64), hold_out=0.25)
RULES = GateRules(people=50, genuine=150, rounds=200)
WIDTH = 32


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Today's judges, people to learn from, people to be tested on."""

    champion: HeadParams
    training_table: FaceTable
    test_table: FaceTable

    def of(self, poison: Callable[[FaceTable], FaceTable]) -> GateReport:
        """What the gate says of a head that was trained on the poisoned labels, cleaned as they are."""
        table = poison(self.training_table)
        labels = label_figures(table, self.champion)
        clean = table.only(~mislabelled(table, self.champion.scorer))
        clean, _ = with_aliases_merged(clean, self.champion)
        faces = TrainingFaces(clean, np.full(len(clean.identity), NO_AGE))
        challenger = train_head(faces, self.champion, QUICK).params
        frozen = FrozenFaces(self.test_table, np.full(len(self.test_table.identity), NO_AGE))
        return check_challenger(self.champion, challenger, frozen, RULES, labels)


def invented(people: int, first: int, photos: int = 4) -> FaceTable:
    """People as two networks see them; the first number of each vector tells the gender."""
    rng = np.random.default_rng(first)
    identity = np.repeat(np.arange(first, first + people), photos)
    gender = np.where(identity % 2 == 0, MALE, FEMALE)
    embeddings = {}
    for name in ("facenet", "sface"):
        rows = rng.normal(size=(people, WIDTH))[identity - first]
        rows += 0.5 * rng.normal(size=rows.shape)
        rows[:, 0] = np.where(gender == MALE, 2, -2) + 0.5 * rng.normal(size=len(identity))
        embeddings[name] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return FaceTable(embeddings, identity, gender, np.zeros(len(identity), bool), np.ones(len(identity)))


def invented_trial() -> Trial:
    openly, settings = invented(300, first=0), FitSettings()
    scorer = fit_scorer(openly, settings)
    gender, replay = fit_gender(openly, settings), replay_limits(scorer, openly)
    champion = HeadParams(scorer, gender, OcclusionClassifier({}, {}), QualityLimits(), replay)
    return Trial(champion, invented(150, first=1000), invented(100, first=2000))


def real_trial(faces: Path, bundle: Path) -> Trial:
    """People of LFW with three photos or more; the shipped head judges."""
    by_person: dict[str, list[LabelledFace]] = {}
    need_genders(faces)
    for face in read_faces(faces / "lfw_faces.csv"):
        by_person.setdefault(face.identity, []).append(face)
    able = [photos[:3] for _, photos in sorted(by_person.items()) if len(photos) >= 3]
    women = [photos for photos in able if photos[0].gender == "female"][:50]
    men = [photos for photos in able if photos[0].gender == "male"][:50]
    chosen = [face for pair in zip(women, men, strict=True) for photos in pair for face in photos]
    dataset = Dataset(load_models(bundle), bundle, faces)
    table = face_table(chosen, dataset.embed([face.file for face in chosen]), PersonCodes(chosen))
    return Trial(dataset.models.params, table.only(table.identity >= 60), table.only(table.identity < 60))


@pytest.fixture(scope="module", params=["invented", "real"])
def trial(request: pytest.FixtureRequest) -> Trial:
    if request.param == "invented":
        return invented_trial()
    return real_trial(request.getfixturevalue("faces"), request.getfixturevalue("bundle_dir"))


def honest(table: FaceTable) -> FaceTable:
    return table


def swapped(share: float) -> Callable[[FaceTable], FaceTable]:
    """Of this share of the people, every second photo stands under the next one's name."""

    def poison(table: FaceTable) -> FaceTable:
        people = np.unique(table.identity)
        chosen = people[: max(2, round(share * len(people)))]
        following = dict(zip(chosen.tolist(), np.roll(chosen, 1).tolist(), strict=True))
        wrong = np.isin(table.identity, chosen) & (np.arange(len(table.identity)) % 2 == 1)
        names = [following[i] if bad else i for i, bad in zip(table.identity.tolist(), wrong, strict=True)]
        return replace(table, identity=np.array(names))

    return poison


def dominated(table: FaceTable) -> FaceTable:
    """One person has as many photos as all the others together."""
    own = np.flatnonzero(table.identity == table.identity[0])
    again = np.resize(own, len(table.identity))
    return FaceTable(
        {name: np.concatenate([rows, rows[again]]) for name, rows in table.embeddings.items()},
        *(np.concatenate([a, a[again]]) for a in (table.identity, table.gender)),
        *(np.concatenate([a, a[again]]) for a in (table.users_kind, table.weight)),
    )


def all_male(table: FaceTable) -> FaceTable:
    return replace(table, gender=np.full(len(table.gender), MALE))


def test_honest_labels_make_a_head_that_may_be_promoted(trial: Trial) -> None:
    assert trial.of(honest).reasons == ()


@pytest.mark.parametrize(
    ("poison", "told"),
    [
        (swapped(0.1), "of the labelled pairs contradict the faces"),
        (swapped(0.4), "of the labelled pairs contradict the faces"),
        (dominated, "one person has"),
        (all_male, "of the gender labels contradict the faces"),
    ],
    ids=["10 % swapped", "40 % swapped", "one person dominates", "all male"],
)
def test_a_head_that_learned_from_poison_is_rejected_and_the_reason_names_it(
    trial: Trial, poison: Callable[[FaceTable], FaceTable], told: str
) -> None:
    report = trial.of(poison)
    assert not report.passed
    assert any(told in reason for reason in report.reasons), report.reasons


def test_from_faces_that_all_look_alike_nothing_is_learned(trial: Trial) -> None:
    with pytest.raises(DataError, match="pairs"):
        trial.of(lambda table: replace(table, embeddings=collapsed(table)))


def test_a_network_whose_embeddings_are_all_alike_is_rejected(trial: Trial) -> None:
    frozen = FrozenFaces(
        trial.test_table, np.full(len(trial.test_table.identity), NO_AGE), collapsed(trial.test_table)
    )
    report = check_challenger(trial.champion, trial.champion, frozen, RULES)
    assert any("embeddings have collapsed" in reason for reason in report.reasons)


def collapsed(table: FaceTable) -> dict[str, np.ndarray]:
    """A network that died: nearly one vector for everybody."""
    return {name: (0.001 * rows + rows[:1]).astype(np.float32) for name, rows in table.embeddings.items()}
