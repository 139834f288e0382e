"""Which detected faces of a photo count as persons: no walls, flowers or cut-off bystanders.

A detector with few misses also finds faces in cloth and leaves. The presence logit of the face mesh tells
them apart: on 2,000 photos of LFW the lowest of a main face was 0.9. Hands, flowers and cartoons had -8 to
0, but so have real faces in full profile, and many behind masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pipeline.faces.mesh import FaceMesh
from pipeline.faces.occlusion import Features, OcclusionClassifier, occlusion_features
from pipeline.faces.quality import Quality, QualityLimits, gate, measure
from pipeline.faces.types import Face, Rgb
from pipeline.verdict import GateResult, Outcome

SECOND_FACE: Final = 0.5
"""A face whose side is at most this share of the main one's is a bystander's."""
CONFIDENT: Final = 0.7
"""The detector score that a second face needs. Of 403 photos that were refused for several faces, 105 had
a second one below it: mostly blurred bystanders whom the frame cut, hands and flowers."""
LARGE: Final = 128.0
"""Pixels: the side of a face from which a larger picture gains nothing: every network that compares faces
takes it smaller. (The head and its limits were fitted on smaller ones, of 95 pixels in the median.)"""
CERTAIN: Final = 0.8
"""The detector score of a face that is looked at in a small picture alone."""
MOST_FACES: Final = 10
"""So many faces of a photo are analysed, the largest first, so that a crowd costs no more."""


@dataclass(frozen=True, slots=True, eq=False)
class ObservedFace:
    """A face with its quality and its occlusion features (one row for each part).

    Both are None for a face that cannot be the main one of its photo.
    """

    face: Face
    """With its mesh, where one fits."""
    cut_off: bool = False
    """An eye, the nose or the mouth lies outside the frame."""
    quality: Quality | None = None
    occlusion: Features | None = None

    @property
    def real(self) -> bool:
        """Whether the mesh confirms a face."""
        return self.face.presence is not None and self.face.presence >= 0

    def clear(self, limits: QualityLimits) -> bool:
        """Whether it is certainly a face, whole and in focus."""
        sharp = self.quality is not None and self.quality.sharpness >= limits.sharpness
        return self.real and self.face.score >= CONFIDENT and not self.cut_off and sharp


def large_enough(faces: Sequence[Face]) -> bool:
    """Whether the picture shows all faces that may count as persons as large as the networks take them."""
    if not faces or max(face.score for face in faces) < CERTAIN:
        return False
    side = max(face.box.side for face in faces)
    return all(face.box.side >= LARGE for face in faces if face.box.side > SECOND_FACE * side)


def refine(mesh: FaceMesh, rgb: Rgb, faces: Sequence[Face]) -> list[Face]:
    """The first `MOST_FACES` of ``faces``, which are sorted by size, with their meshes."""
    return [mesh.refine(rgb, face) for face in faces[:MOST_FACES]]


def observe(rgb: Rgb, faces: Sequence[Face], scale: float = 1.0) -> list[ObservedFace]:
    """Measure faces that `refine` returned, the largest first.

    ``scale`` is how many pixels of the original photo make one of ``rgb``.
    """
    found = [ObservedFace(face, _cut_off(rgb, face)) for face in faces]
    largest = next((one for one in found if one.real), found[0] if found else None)
    return [_measured(one, rgb, scale) if largest and _near(one, largest) else one for one in found]


def people(faces: Sequence[ObservedFace], limits: QualityLimits) -> tuple[int, ...]:
    """Indices of the faces that count as persons, the main one first; empty without a face.

    The main face is the largest clear one, or the largest. A second face counts where it is clear
    too, or larger than the main one.
    """
    real = [number for number, one in enumerate(faces) if one.real]
    if not real:
        return ()
    clear = [number for number in real if faces[number].clear(limits)]
    main = (clear or real)[0]
    side = faces[main].face.box.side
    others = (n for n in real if n != main)
    return main, *(n for n in others if faces[n].face.box.side > side * (SECOND_FACE if n in clear else 1))


def failed_gate(
    face: ObservedFace, limits: QualityLimits, occlusion: OcclusionClassifier
) -> tuple[Outcome, GateResult] | None:
    """The first gate that refuses the face, with its number; None where it passes all."""
    if face.quality and (found := gate(face.quality, limits)):
        return found
    hidden = occlusion.gate(face.occlusion) if face.occlusion else None
    return (Outcome.OCCLUDED, hidden) if hidden else None


def _near(one: ObservedFace, largest: ObservedFace) -> bool:
    return one is largest or (one.real and one.face.box.side > SECOND_FACE * largest.face.box.side)


def _measured(one: ObservedFace, rgb: Rgb, scale: float) -> ObservedFace:
    """With quality by the detector's landmarks, by which the gates' limits were set."""
    quality = measure(rgb, replace(one.face, mesh=None), scale)
    return replace(one, quality=quality, occlusion=occlusion_features(rgb, one.face))


def _cut_off(rgb: Rgb, face: Face) -> bool:
    height, width = rgb.shape[:2]
    points = face.landmarks[:4]
    return bool((points < 0).any() or (points[:, 0] > width).any() or (points[:, 1] > height).any())
