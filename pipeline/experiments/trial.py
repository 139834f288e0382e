"""One condition, one seed: split the people, train as the product trains, measure on strangers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.tables import Labels
from pipeline.experiments.photos import Collection, ViewPhotos, crop_for, look
from pipeline.experiments.sizes import Size
from pipeline.experiments.tables import Condition
from pipeline.faces.types import Embeddings, Scores
from pipeline.fitting import metrics
from pipeline.fitting.fit import MALE, FaceTable, FitSettings, fit_gender
from pipeline.training.data.pairs import (
    Pairs,
    PairSettings,
    drawn_impostors,
    genuine_pairs,
    split_by_identity,
)
from pipeline.training.networks.backbones import (
    BackboneName,
    build_backbone,
    split_backbone,
    unfreeze_last_blocks,
)
from pipeline.training.networks.finetune import features_of, starting_tower, tune
from pipeline.training.networks.learning import Faces, Schedule, all_pairs, seed_everything
from pipeline.training.networks.siamese import Siamese, SiameseSettings, build_siamese
from pipeline.training.recipe import Mode, Recipe

Flags = NDArray[np.bool_]
DIMENSIONS = 128
TESTED = 0.25
"""Share of the people who are tested."""
HELD_OUT = 0.25
"""Share of the others by whom training is stopped and the threshold is chosen."""
PAIRS_OF_A_PERSON = 10
"""Genuine pairs of one person in validation and test, at most."""
BATCH = 32
PATIENCE = 3


@dataclass(frozen=True, slots=True)
class Weights:
    """What the networks start from."""

    facenet: Path | None = None
    """The file; without one, where `python -m pipeline weights` looks."""
    vgg19: Path | None = None
    """ImageNet's, or None: from its initial weights."""

    def of(self, network: BackboneName) -> Path | None:
        """The file for `build_backbone`."""
        known = {BackboneName.FACENET: self.facenet, BackboneName.VGG19: self.vgg19}
        return known.get(network)

    def said(self, network: BackboneName) -> str:
        """For the reader."""
        if network is BackboneName.FACENET:
            return "VGGFace2, last block learns"
        if network is BackboneName.VGG19 and self.vgg19:
            return "ImageNet, last block learns"
        return "none: all of it learns from its initial weights"

    def side(self, network: BackboneName, size: Size) -> int:
        """Of a face in pixels."""
        return size.imagenet_side if network is BackboneName.VGG19 and self.vgg19 else size.sides[network]


@dataclass(slots=True)
class Experiment:
    """The photos and the networks, kept between trials; of prepared photos only the last kind."""

    collection: Collection
    weights: Weights
    size: Size
    _networks: dict[BackboneName, tuple[Any, Any, list[NDArray[Any]]]] = field(default_factory=dict)
    """What is computed once for a photo, what learns, and the weights that the latter begins with."""
    _siamese: dict[tuple[Any, ...], tuple[Siamese, list[NDArray[Any]]]] = field(default_factory=dict)
    _views: tuple[tuple[Any, ...], NDArray[np.float16]] | None = None

    def photos(self, condition: Condition) -> ViewPhotos:
        """What the learning part of the network takes."""
        key = condition.network, condition.colours
        if self._views is None or self._views[0] != key:
            self._views = None  # two kinds at once would need twice the memory
            through = self._parts(condition.network)[0]
            side = self.weights.side(condition.network, self.size)
            self._views = key, look(self.collection, crop_for(side, condition.colours), through)
        return ViewPhotos(self._views[1], condition.augmentation)

    def siamese(self, condition: Condition) -> Siamese:
        """The untrained network; without weights of its own its initial ones are drawn anew.

        Conditions share a backbone, so what another trial taught it must be taken back.
        """
        network = condition.network
        key = network, condition.loss, condition.gender
        if key not in self._siamese:
            siamese = build_siamese(self._parts(network)[1], DIMENSIONS, self._settings(condition))
            self._siamese[key] = siamese, siamese.state()
        siamese, start = self._siamese[key]
        siamese.restore(start)
        weights = self._parts(network)[2]
        if not self.learned_before(network):
            weights = build_backbone(network, None, self.weights.side(network, self.size)).get_weights()
        siamese.backbone.set_weights(weights)
        return siamese

    def learned_before(self, network: BackboneName) -> bool:
        """Whether the network comes with weights."""
        return network is BackboneName.FACENET or self.weights.of(network) is not None

    def _parts(self, network: BackboneName) -> tuple[Any, Any, list[NDArray[Any]]]:
        if network not in self._networks:
            backbone = build_backbone(
                network, self.weights.of(network), self.weights.side(network, self.size)
            )
            if self.learned_before(network):
                unfreeze_last_blocks(backbone, network)
                frozen, learning = split_backbone(backbone, network)
                through = _caller(frozen)
            else:
                through, learning = _as_it_is, backbone
            self._networks[network] = through, learning, learning.get_weights()
        return self._networks[network]

    def _settings(self, condition: Condition) -> SiameseSettings:
        defaults = SiameseSettings()
        return SiameseSettings(
            loss=condition.loss,
            pull=defaults.pull if self.learned_before(condition.network) else 0.0,
            gender_weight=defaults.gender_weight if condition.gender else 0.0,
            learning_rate=self.size.rates[condition.network],
        )


def _caller(network: Any) -> Callable[[Faces], Faces]:
    def through(faces: Faces) -> Faces:
        return np.asarray(network.predict_on_batch(faces), np.float32)

    return through


def _as_it_is(faces: Faces) -> Faces:
    return faces


def run_trial(experiment: Experiment, condition: Condition, seed: int) -> dict[str, Any]:
    """The figures of one training; JSON."""
    started = time.process_time()
    seed_everything(seed)
    photos, labels = experiment.photos(condition), experiment.collection.labels
    recipe = _recipe(condition, seed, experiment.size)
    tested = split_by_identity(labels.identity, TESTED, seed)
    siamese = experiment.siamese(condition)
    features = features_of(siamese.backbone, photos)
    ours = labels.only(~tested)
    siamese.set_tower(starting_tower(features[~tested], ours, recipe))
    _start_gender(siamese, features[~tested], ours, recipe)
    held = _held_out(tested, labels, recipe)
    exam = Evaluator(siamese, labels, held, tested, seed)
    before = exam.mark(features, gender=condition.gender)
    tuned = tune(siamese, photos.only(~tested), ours, features[~tested], recipe, metric=area)
    people = [len(np.unique(labels.identity[some])) for some in (~tested & ~held, held, tested)]
    return {
        **exam.mark(features_of(siamese.backbone, photos), gender=condition.gender),
        "before": before,
        "people": dict(zip(("learned", "validation", "test"), people, strict=True)),
        "photos": len(photos),
        "epochs": len(tuned.history.loss),
        "kept_epoch": tuned.history.best,
        "seconds": round(time.process_time() - started, 1),
    }


def _recipe(condition: Condition, seed: int, size: Size) -> Recipe:
    tower = str(condition.network)
    return Recipe(
        mode=Mode.FINETUNE,
        backbone=condition.network,
        pairs=PairSettings(genuine_per_person=size.genuine, impostors_per_genuine=1.0),
        schedule=Schedule(
            size.epochs[condition.network], PATIENCE, batch=BATCH, seed=seed, may_keep_start=False
        ),
        fit=FitSettings(weights={tower: 1.0}, centred=frozenset({tower}), dimensions={tower: DIMENSIONS}),
        hold_out=HELD_OUT,
    )


def _start_gender(siamese: Siamese, features: Embeddings, labels: Labels, recipe: Recipe) -> None:
    """As the projection starts from data, so does the gender output: a few epochs are too few for it."""
    count = len(features)
    table = FaceTable(
        {recipe.tower: features}, labels.identity, labels.gender, np.zeros(count, bool), np.ones(count)
    )
    judge = fit_gender(table, recipe.fit)
    siamese.set_gender(judge.weights[recipe.tower], judge.bias)


def _held_out(tested: Flags, labels: Labels, recipe: Recipe) -> Flags:
    """(n,) the validation people: those whom `tune` holds out of the people who are not tested."""
    held = np.zeros(len(tested), dtype=bool)
    held[~tested] = split_by_identity(labels.identity[~tested], recipe.hold_out, recipe.schedule.seed)
    return held


def area(embeddings: Embeddings, labels: Labels) -> float:
    """Area under the curve: with so few people held out a rate of 0.1 % would hang on single pairs."""
    return metrics.auc(*all_pairs(embeddings @ embeddings.T, labels)) or 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Evaluator:
    """The same pairs before and after training; nobody who is tested was learned from."""

    siamese: Siamese
    labels: Labels
    held: Flags
    tested: Flags
    seed: int

    def mark(self, features: Embeddings, *, gender: bool) -> dict[str, Any]:
        """Accuracy at the threshold that suits the validation people best, and what it is made of.

        ``features`` (n, d) are what the backbone says of the photos now.
        """
        projected = self.siamese.tower(1.0).project(features)
        threshold = metrics.best_threshold(*self._scores(projected, self.held))
        scores, same = self._scores(projected, self.tested)
        return {
            "pairs": len(same),
            "accuracy": metrics.accuracy(scores, same, threshold),
            "auc": metrics.auc(scores[same], scores[~same]),
            "fmr": metrics.fmr(scores[~same], threshold),
            "fnmr": metrics.fnmr(scores[same], threshold),
            "gender": self._gender(features) if gender else None,
        }

    def _scores(self, projected: Embeddings, chosen: Flags) -> tuple[Scores, Flags]:
        pairs = balanced_pairs(self.labels.only(chosen), self.seed)
        embeddings = projected[chosen]
        scores = np.einsum("ij,ij->i", embeddings[pairs.first], embeddings[pairs.second])
        return scores.astype(np.float64), pairs.same == 1

    def _gender(self, features: Embeddings) -> dict[str, float]:
        truth = self.labels.gender[self.tested] == MALE
        right = (self.siamese.male(features[self.tested]) > 0.5) == truth
        share = float(np.mean(truth))
        return {"accuracy": float(np.mean(right)), "constant": max(share, 1 - share)}


def balanced_pairs(labels: Labels, seed: int) -> Pairs:
    """As many genuine pairs as impostor pairs of one gender."""
    rng = np.random.default_rng((seed, len(labels.identity)))
    genuine = genuine_pairs(labels.identity, PAIRS_OF_A_PERSON, rng)
    impostors = drawn_impostors(labels, len(genuine), rng)
    count = min(len(genuine), len(impostors))
    picked = rng.permutation(len(genuine))[:count]
    return Pairs(
        np.concatenate([genuine.first[picked], impostors.first[:count]]),
        np.concatenate([genuine.second[picked], impostors.second[:count]]),
        np.concatenate([genuine.same[picked], impostors.same[:count]]),
    )
