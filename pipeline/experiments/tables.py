"""The source system's five tables: its figures, the conditions that are compared, and their size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pipeline.faces.align import Preprocess
from pipeline.training.networks.backbones import BackboneName
from pipeline.training.networks.siamese import LossName

FACENET, VGG19, OWN_CNN = BackboneName.FACENET, BackboneName.VGG19, BackboneName.OWN_CNN


@dataclass(frozen=True, slots=True)
class Condition:
    """One way to train a siamese network."""

    network: BackboneName = BackboneName.FACENET
    colours: Preprocess = Preprocess.COLOR
    gender: bool = True
    """Whether the second output is trained too."""
    loss: LossName = LossName.CONTRASTIVE
    augmentation: bool = True

    @property
    def name(self) -> str:
        """For files; a condition that is in several tables is run once."""
        parts: list[str] = [self.network, self.colours, self.loss]
        parts += ["gender" if self.gender else "no-gender", "augmented" if self.augmentation else "plain"]
        return "-".join(parts)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: our condition, and the source system's figures."""

    label: str
    condition: Condition
    source: str
    """The source system's accuracy."""
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


@dataclass(frozen=True, slots=True)
class Size:
    """The numbers that decide how long the experiments take and how large chance is."""

    people: int = 100
    """Of each gender, at most."""
    photos: int = 5
    """Of a person, at most."""
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    versions: int = 2
    """Augmented versions of every photo, made once."""
    epochs: Mapping[BackboneName, int] = field(default_factory=lambda: {FACENET: 1, VGG19: 2, OWN_CNN: 12})
    """At most. FaceNet verified held-out people best after the first of three."""
    rates: Mapping[BackboneName, float] = field(
        default_factory=lambda: {FACENET: 3e-5, VGG19: 1e-4, OWN_CNN: 3e-4}
    )
    """Learning rates."""
    sides: Mapping[BackboneName, int] = field(default_factory=lambda: {FACENET: 160, VGG19: 32, OWN_CNN: 80})
    """Of a face in pixels."""
    imagenet_side: int = 96
    """The same for VGG19 with ImageNet's weights, of which only the last block is trained, which is
    faster."""
    genuine: int = 4
    """Genuine pairs of a person in an epoch, at most; as many impostor pairs are added."""

    def of(self, network: BackboneName) -> tuple[object, ...]:
        """Everything that the result of a network depends on."""
        shared = (self.people, self.photos, self.versions, self.genuine)
        return (*shared, self.epochs[network], self.rates[network], self.sides[network])


FULL = Size()
QUICK = Size(
    people=8,
    photos=3,
    seeds=(1,),
    versions=1,
    epochs={FACENET: 1, VGG19: 1, OWN_CNN: 1},
    sides={FACENET: 160, VGG19: 32, OWN_CNN: 32},
    imagenet_side=32,
    genuine=2,
)

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
    """Each condition once, sorted so that photos are prepared once for those with the same input."""
    every = dict.fromkeys(row.condition for table in TABLES for row in table.rows)
    return sorted(every, key=lambda c: (c.network, c.colours))
