"""The loop that trains a siamese network: epochs of pairs, stopped where people held out gain no more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.labels import Labels
from pipeline.errors import DataError
from pipeline.faces.types import Vectors
from pipeline.fitting import metrics
from pipeline.fitting.fit import UNKNOWN
from pipeline.progress import track
from pipeline.training.data.pairs import Pairs
from pipeline.training.networks.siamese import Siamese

NEVER = -1.0
"""Worse than any judgement."""
JUDGED_AT = 0.001
"""The false-match rate at which the people held out are told apart."""

Faces = NDArray[np.float32]
"""(n, ...) what the tower takes."""
Batch = tuple[list[Faces], dict[str, NDArray[Any]], dict[str, NDArray[Any]]]
"""Inputs, truths, weights."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long to learn, and from what start."""

    epochs: int = 30
    patience: int = 5
    """Epochs without a gain after which it is enough."""
    batch: int = 256
    seed: int = 1
    may_keep_start: bool = True
    """Whether the untrained start is kept where no epoch is better; experiments want to see training."""


@dataclass(slots=True)
class History:
    """One number for each epoch; ``held_out`` has the untrained start in front."""

    loss: list[float] = field(default_factory=list)
    held_out: list[float] = field(default_factory=list)
    """TAR at a false-match rate of `JUDGED_AT` on people who are not learned from."""

    @property
    def best(self) -> int:
        """The epoch that was kept; 0 is the untrained start."""
        return int(np.argmax(self.held_out))


def learn(
    siamese: Siamese,
    epoch: Callable[[int], Iterable[Batch]],
    judge: Callable[[], float],
    schedule: Schedule,
) -> History:
    """Train, and leave the network with the weights that ``judge`` liked best, the start among them."""
    history = History(held_out=[judge() if schedule.may_keep_start else NEVER])
    best = siamese.state()
    for number in track(range(1, schedule.epochs + 1), schedule.epochs, "training"):
        history.loss.append(run_epoch(siamese, epoch(number)))
        history.held_out.append(judge())
        if history.best == number:
            best = siamese.state()
        if number - history.best >= schedule.patience:
            break
    siamese.restore(best)
    return history


def run_epoch(siamese: Siamese, epoch: Iterable[Batch]) -> float:
    """One step for each batch; the mean loss. Raises DataError where there is no batch."""
    losses = [_step(siamese.trainer, batch) for batch in epoch]
    if not losses:
        raise DataError("the faces give no pairs to learn from: each person needs two photos")
    return float(np.mean(losses))


def _step(trainer: keras.Model, batch: Batch) -> float:
    inputs, truths, weights = batch
    return float(trainer.train_on_batch(inputs, truths, sample_weight=weights, return_dict=True)["loss"])


def batches(
    pairs: Pairs, labels: Labels, size: int, faces: Callable[[NDArray[np.int64], int], Faces]
) -> Iterator[Batch]:
    """The pairs, ``size`` at a time; ``faces`` gives what the tower takes for rows and a side (0, 1).

    A first face of unknown gender weighs nothing in the gender's loss. What is left over at the
    end waits for the next epoch, because every new size of batch costs seconds to set up.
    """
    for start in range(0, max(len(pairs) - size + 1, min(len(pairs), 1)), size):
        part = slice(start, start + size)
        first, second = pairs.first[part], pairs.second[part]
        gender = labels.gender[first]
        truths = {"same": pairs.same[part, None], "gender": np.maximum(gender, 0)[:, None]}
        weights = {"same": np.ones(len(first), np.float32), "gender": (gender != UNKNOWN).astype(np.float32)}
        yield [faces(first, 0), faces(second, 1)], truths, weights


def told_apart(vectors: Vectors, labels: Labels) -> float:
    """TAR at `JUDGED_AT` over all pairs of these faces, from projected vectors (n, k).

    Where so few people are held out that the rate cannot be seen, the area under the curve.
    """
    genuine, impostor = all_pairs(vectors @ vectors.T, labels)
    tar = metrics.tar_at_fmr(genuine, impostor, JUDGED_AT)
    area = metrics.auc(genuine, impostor) if tar is None else tar
    return 0.0 if area is None else area


def all_pairs(scores: NDArray[Any], labels: Labels) -> tuple[metrics.Scores, metrics.Scores]:
    """The scores (n, n) of every genuine pair and of every fair impostor pair."""
    rows = np.arange(len(labels.identity))
    later = rows[None] > rows[:, None]
    same = labels.identity[:, None] == labels.identity[None]
    fair = labels.may_oppose(rows[:, None], rows[None])
    return scores[later & same].astype(np.float64), scores[later & fair].astype(np.float64)


def seed_everything(seed: int) -> None:
    """The same seed, the same network: Keras, numpy and Python's own, and no racing sums."""
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
