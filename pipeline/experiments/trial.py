"""One trial: train one condition with one seed as the product trains, and evaluate on other people."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.tables import Labels
from pipeline.experiments.photos import Collection, ViewPhotos, compute_views, crop_for
from pipeline.experiments.tables import Condition, Size
from pipeline.faces.types import Embeddings, Flags, Scores
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

DIMENSIONS = 128
TEST_SHARE = 0.25
"""Share of the people who are tested."""
HELD_OUT = 0.25
"""Share of the others by whom training is stopped and the threshold is chosen."""
PAIRS_OF_A_PERSON = 10
"""Genuine pairs of one person in validation and test, at most."""
BATCH = 32
PATIENCE = 3


@dataclass(frozen=True, slots=True)
class Weights:
    """The initial weights of the networks."""

    facenet: Path | None = None
    """The file; without one, where `python -m pipeline weights` looks."""
    vgg19: Path | None = None
    """ImageNet's, or None: from its initial weights."""

    def of(self, network: BackboneName) -> Path | None:
        """The file for `build_backbone`."""
        known = {BackboneName.FACENET: self.facenet, BackboneName.VGG19: self.vgg19}
        return known.get(network)

    def said(self, network: BackboneName) -> str:
        """A description for the page."""
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
    """Photos and networks that trials share; of prepared photos only the last kind is kept."""

    collection: Collection
    weights: Weights
    size: Size
    _networks: dict[BackboneName, tuple[Any, Any, list[NDArray[Any]]]] = field(default_factory=dict)
    """The frozen blocks, the trained blocks, and the initial weights of the latter."""
    _siamese: dict[tuple[Any, ...], tuple[Siamese, list[NDArray[Any]]]] = field(default_factory=dict)
    _views: tuple[tuple[Any, ...], NDArray[np.float16]] | None = None

    def photos(self, condition: Condition) -> ViewPhotos:
        """The input of the network's trained blocks."""
        key = condition.network, condition.colours
        if self._views is None or self._views[0] != key:
            self._views = None  # two kinds at once would need twice the memory
            through = self._parts(condition.network)[0]
            side = self.weights.side(condition.network, self.size)
            self._views = key, compute_views(self.collection, crop_for(side, condition.colours), through)
        return ViewPhotos(self._views[1], condition.augmentation)

    def siamese(self, condition: Condition) -> Siamese:
        """The untrained network; without pretrained weights its initial ones are drawn anew.

        Conditions share a backbone, so its weights are restored for every trial.
        """
        network = condition.network
        key = network, condition.loss, condition.gender
        if key not in self._siamese:
            siamese = build_siamese(self._parts(network)[1], DIMENSIONS, self._settings(condition))
            self._siamese[key] = siamese, siamese.state()
        siamese, start = self._siamese[key]
        siamese.restore(start)
        weights = self._parts(network)[2]
        if not self.pretrained(network):
            weights = build_backbone(network, None, self.weights.side(network, self.size)).get_weights()
        siamese.backbone.set_weights(weights)
        return siamese

    def pretrained(self, network: BackboneName) -> bool:
        """Whether the network has pretrained weights."""
        return network is BackboneName.FACENET or self.weights.of(network) is not None

    def _parts(self, network: BackboneName) -> tuple[Any, Any, list[NDArray[Any]]]:
        if network not in self._networks:
            backbone = build_backbone(
                network, self.weights.of(network), self.weights.side(network, self.size)
            )
            if self.pretrained(network):
                unfreeze_last_blocks(backbone, network)
                frozen, learning = split_backbone(backbone, network)
                through = _caller(frozen)
            else:
                through, learning = (lambda faces: faces), backbone
            self._networks[network] = through, learning, learning.get_weights()
        return self._networks[network]

    def _settings(self, condition: Condition) -> SiameseSettings:
        defaults = SiameseSettings()
        return SiameseSettings(
            loss=condition.loss,
            pull=defaults.pull if self.pretrained(condition.network) else 0.0,
            gender_weight=defaults.gender_weight if condition.gender else 0.0,
            learning_rate=self.size.rates[condition.network],
        )


def _caller(network: Any) -> Callable[[Faces], Faces]:
    def through(faces: Faces) -> Faces:
        return np.asarray(network.predict_on_batch(faces), np.float32)

    return through


def run_trial(experiment: Experiment, condition: Condition, seed: int) -> dict[str, Any]:
    """The figures of one trial; JSON."""
    started = time.process_time()
    seed_everything(seed)
    photos, labels = experiment.photos(condition), experiment.collection.labels
    recipe = _recipe(condition, seed, experiment.size)
    is_test = split_by_identity(labels.identity, TEST_SHARE, seed)
    siamese = experiment.siamese(condition)
    features = features_of(siamese.backbone, photos)
    training = labels.only(~is_test)
    siamese.set_tower(starting_tower(features[~is_test], training, recipe))
    _start_gender(siamese, features[~is_test], training, recipe)
    held_out = _held_out(is_test, labels, recipe)
    evaluator = Evaluator(siamese, labels, held_out, is_test, seed)
    before = evaluator.figures(features, gender=condition.gender)
    tuned = tune(siamese, photos.only(~is_test), training, features[~is_test], recipe, metric=area)
    people = [len(np.unique(labels.identity[some])) for some in (~is_test & ~held_out, held_out, is_test)]
    return {
        **evaluator.figures(features_of(siamese.backbone, photos), gender=condition.gender),
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
    """Fit the gender output first, because a few epochs are too few for it."""
    count = len(features)
    table = FaceTable(
        {recipe.tower: features}, labels.identity, labels.gender, np.zeros(count, bool), np.ones(count)
    )
    head = fit_gender(table, recipe.fit)
    siamese.set_gender(head.weights[recipe.tower], head.bias)


def _held_out(is_test: Flags, labels: Labels, recipe: Recipe) -> Flags:
    """(n,) the validation people: those whom `tune` holds out."""
    held_out = np.zeros(len(is_test), dtype=bool)
    held_out[~is_test] = split_by_identity(labels.identity[~is_test], recipe.hold_out, recipe.schedule.seed)
    return held_out


def area(embeddings: Embeddings, labels: Labels) -> float:
    """Area under the curve, because with so few people a rate of 0.1 % would depend on single pairs."""
    return metrics.auc(*all_pairs(embeddings @ embeddings.T, labels)) or 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Evaluator:
    """The same pairs before and after training; nobody of them was trained on."""

    siamese: Siamese
    labels: Labels
    held_out: Flags
    is_test: Flags
    seed: int

    def figures(self, features: Embeddings, *, gender: bool) -> dict[str, Any]:
        """Accuracy at the threshold that is best for the validation people, and its components.

        ``features`` (n, d) are the backbone's current output.
        """
        projected = self.siamese.tower(1.0).project(features)
        threshold = metrics.best_threshold(*self._scores(projected, self.held_out))
        scores, same = self._scores(projected, self.is_test)
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
        truth = self.labels.gender[self.is_test] == MALE
        right = (self.siamese.male(features[self.is_test]) > 0.5) == truth
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
