"""The training loop of a siamese network: epochs of pairs, stopped when held-out people gain no more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.tables import Labels
from pipeline.errors import DataError
from pipeline.faces.types import Codes, Embeddings, Floats, Scores
from pipeline.fitting import metrics
from pipeline.fitting.fit import UNKNOWN
from pipeline.terminal import track
from pipeline.training.data.pairs import Pairs
from pipeline.training.networks.siamese import Siamese

WORST = -1.0
"""Lower than any validation."""
HELD_OUT_FMR = 0.001
"""The false-match rate at which held-out people are validated."""

Faces = Floats
"""(n, ...) the input of the tower."""
Batch = tuple[list[Faces], dict[str, NDArray[Any]], dict[str, NDArray[Any]]]
"""Inputs, targets, weights."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The length of a training, and its seed."""

    epochs: int = 30
    patience: int = 5
    """Training stops after so many epochs without a gain."""
    batch: int = 256
    seed: int = 1
    may_keep_start: bool = True
    """Whether the untrained start is kept where no epoch is better; experiments always train."""


@dataclass(slots=True)
class History:
    """One number for each epoch; ``held_out`` also has the untrained start, in front."""

    loss: list[float] = field(default_factory=list)
    held_out: list[float] = field(default_factory=list)
    """TAR of held-out people at `HELD_OUT_FMR`."""

    @property
    def best(self) -> int:
        """The epoch that was kept; 0 is the untrained start."""
        return int(np.argmax(self.held_out))


def learn(
    siamese: Siamese,
    epoch: Callable[[int], Iterable[Batch]],
    validate: Callable[[], float],
    schedule: Schedule,
) -> History:
    """Train, and restore the weights that ``validate`` rated highest, the start among them."""
    history = History(held_out=[validate() if schedule.may_keep_start else WORST])
    best = siamese.state()
    for number in track(range(1, schedule.epochs + 1), schedule.epochs, "training"):
        history.loss.append(run_epoch(siamese, epoch(number)))
        history.held_out.append(validate())
        if history.best == number:
            best = siamese.state()
        if number - history.best >= schedule.patience:
            break
    siamese.restore(best)
    return history


def run_epoch(siamese: Siamese, epoch: Iterable[Batch]) -> float:
    """Train on each batch; the mean loss. Raises DataError without a batch."""
    losses = [_step(siamese.trainer, batch) for batch in epoch]
    if not losses:
        raise DataError("the faces give no pairs to learn from: each person needs two photos")
    return float(np.mean(losses))


def _step(trainer: keras.Model, batch: Batch) -> float:
    inputs, truths, weights = batch
    return float(trainer.train_on_batch(inputs, truths, sample_weight=weights, return_dict=True)["loss"])


def batches(pairs: Pairs, labels: Labels, size: int, faces: Callable[[Codes, int], Faces]) -> Iterator[Batch]:
    """The pairs in batches of ``size``; ``faces`` gives the tower's input for rows and a side (0, 1).

    A first face of unknown gender has weight 0 in the gender's loss. A last, smaller batch is left out,
    because every new batch size costs seconds to set up.
    """
    for start in range(0, max(len(pairs) - size + 1, min(len(pairs), 1)), size):
        part = slice(start, start + size)
        first, second = pairs.first[part], pairs.second[part]
        gender = labels.gender[first]
        truths = {"same": pairs.same[part, None], "gender": np.maximum(gender, 0)[:, None]}
        weights = {"same": np.ones(len(first), np.float32), "gender": (gender != UNKNOWN).astype(np.float32)}
        yield [faces(first, 0), faces(second, 1)], truths, weights


def verification_rate(embeddings: Embeddings, labels: Labels) -> float:
    """TAR at `HELD_OUT_FMR` over all pairs of these faces, from projected embeddings (n, k).

    With too few pairs for the rate, the area under the curve.
    """
    genuine, impostor = all_pairs(embeddings @ embeddings.T, labels)
    tar = metrics.tar_at_fmr(genuine, impostor, HELD_OUT_FMR)
    area = metrics.auc(genuine, impostor) if tar is None else tar
    return 0.0 if area is None else area


def all_pairs(scores: NDArray[Any], labels: Labels) -> tuple[Scores, Scores]:
    """The scores (n, n) of all genuine pairs and of all fair impostor pairs."""
    rows = np.arange(len(labels.identity))
    later = rows[None] > rows[:, None]
    same = labels.identity[:, None] == labels.identity[None]
    fair = labels.may_oppose(rows[:, None], rows[None])
    return scores[later & same].astype(np.float64), scores[later & fair].astype(np.float64)


def seed_everything(seed: int) -> None:
    """Make training deterministic: seeds of Keras, numpy and Python, and deterministic operations."""
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
