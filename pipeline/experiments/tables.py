"""What is compared: the source system's five tables, its figures, and what is run beside each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipeline.faces.align import Preprocess
from pipeline.training.networks.backbones import BackboneName
from pipeline.training.networks.siamese import LossName


@dataclass(frozen=True, slots=True)
class Condition:
    """One way to train a siamese network."""

    network: BackboneName = BackboneName.FACENET
    colours: Preprocess = Preprocess.COLOR
    gender: bool = True
    """Whether the second output is learned along."""
    loss: LossName = LossName.CONTRASTIVE
    augmentation: bool = True

    @property
    def name(self) -> str:
        """For files: the same condition stands in several tables and is run once."""
        parts: list[str] = [self.network, self.colours, self.loss]
        parts += ["gender" if self.gender else "no-gender", "augmented" if self.augmentation else "plain"]
        return "-".join(parts)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: ours, and what the source system wrote down for it."""

    label: str
    condition: Condition
    source: str
    """Its accuracy."""
    source_gender: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """``rows`` are compared with the ``base``-th; ``limits`` is what the table cannot tell."""

    name: str
    title: str
    question: str
    rows: tuple[Row, ...]
    base: int
    limits: str
    source_said: str = ""
    """What must be known of the source's figures."""


BASE = Condition()
SOURCE_NOTE = (
    "The source system's 27 % and 73 % are not two networks of different skill. They are complements: on one "
    "and the same unbalanced set, in which 73 % of the pairs showed two people, a network that calls every "
    "pair “same” is right in 27 %, and one that calls every pair “different” in 73 %. Neither number shows "
    "that anything was learned. Here half of the pairs are genuine and half are not, so either of those "
    "answers is right in exactly 50 %, and that line stands in every table."
)

TABLES = (
    Table(
        "network",
        "1. Which network",
        "Does the network matter, and does it matter that it has seen faces before?",
        (
            Row("own CNN", Condition(network=BackboneName.OWN_CNN), "27 %"),
            Row("VGG19", Condition(network=BackboneName.VGG19), "73 %"),
            Row("FaceNet", BASE, "73 %"),
        ),
        base=2,
        limits=(
            "It does not compare architectures: FaceNet comes with weights that were trained on three "
            "million faces, the others learn from a few hundred photos, and on smaller pictures. With as "
            "many faces and as much time they would do far better."
        ),
        source_said="VGG19 called every pair different; so all that 73 % tells is how many pairs were.",
    ),
    Table(
        "colours",
        "2. Which colours",
        "Do greyscale and histogram equalisation help FaceNet?",
        (
            Row("greyscale", replace(BASE, colours=Preprocess.GRAY), "78 %"),
            Row("greyscale + equalisation", replace(BASE, colours=Preprocess.GRAY_EQUALIZED), "94 %"),
            Row("colour", BASE, "83 %"),
        ),
        base=2,
        limits=(
            "FaceNet's weights were made with colour photos, and press photos are well lit. It says nothing "
            "about dark, yellowed or badly exposed photos, for which equalisation was meant."
        ),
    ),
    Table(
        "gender",
        "3. With and without the gender output",
        "Does learning gender along help or harm the comparison of faces?",
        (Row("with", BASE, "83 %", "100 %"), Row("without", replace(BASE, gender=False), "not stated")),
        base=1,
        limits=(
            "Our impostor pairs are of one gender, so knowing it cannot help to tell them apart; where men "
            "are paired with women it would."
        ),
        source_said="100 % of a test set of men alone is what “always male” reaches too.",
    ),
    Table(
        "loss",
        "4. Which loss",
        "Binary cross-entropy or contrastive loss?",
        (
            Row("binary cross-entropy", replace(BASE, loss=LossName.CROSS_ENTROPY), "83 %"),
            Row("contrastive", BASE, "83 %"),
        ),
        base=1,
        limits=(
            "Both start from a network that knows faces and move it a little. Trained from nothing, or for "
            "much longer, the two may part."
        ),
    ),
    Table(
        "augmentation",
        "5. With and without augmentation",
        "Do photos that are blurred, turned, darkened or aged by program help?",
        (
            Row("with", BASE, "64 %", "93 %"),
            Row("without", replace(BASE, augmentation=False), "64 %", "93 %"),
        ),
        base=1,
        limits=(
            "The test photos are as they are: sharp press photos. What augmentation is for, photos worse "
            "than those learned from, is hardly among them."
        ),
    ),
)


def conditions() -> list[Condition]:
    """Each once; those that look at photos in one way stand together, so that photos are prepared once."""
    every = dict.fromkeys(row.condition for table in TABLES for row in table.rows)
    return sorted(every, key=lambda c: (c.network, c.colours))
