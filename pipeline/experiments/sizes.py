"""How large the experiments are: a full run, and a quick one that only shows that all of it works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.training.networks.backbones import BackboneName

FACENET, VGG19, OWN_CNN = BackboneName.FACENET, BackboneName.VGG19, BackboneName.OWN_CNN


@dataclass(frozen=True, slots=True)
class Size:
    """Numbers that decide how long it takes and how far chance reaches."""

    people: int = 100
    """Of each gender, at most."""
    photos: int = 5
    """Of a person, at most."""
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    versions: int = 2
    """Of every photo after augmentation, made once."""
    epochs: Mapping[BackboneName, int] = field(default_factory=lambda: {FACENET: 1, VGG19: 2, OWN_CNN: 12})
    """At most. In tries FaceNet told people held out apart best after the first of three."""
    rates: Mapping[BackboneName, float] = field(
        default_factory=lambda: {FACENET: 3e-5, VGG19: 1e-4, OWN_CNN: 3e-4}
    )
    """Learning rates."""
    sides: Mapping[BackboneName, int] = field(default_factory=lambda: {FACENET: 160, VGG19: 32, OWN_CNN: 80})
    """Of a face in pixels."""
    imagenet_side: int = 96
    """The same for VGG19 with ImageNet's weights, of which only the last block learns: that is quicker."""
    genuine: int = 4
    """Pairs of a person in an epoch, at most; as many impostor pairs are added."""

    def of(self, network: BackboneName) -> tuple[object, ...]:
        """Everything that decides what comes out for a network."""
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
