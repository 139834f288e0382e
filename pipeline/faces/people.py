"""Which faces of a photo are persons that count: walls, roses and cut-off bystanders are none.

A detector that misses nobody also finds faces in cloth and leaves. Each is looked at by the face
mesh, whose presence logit tells: on 2,000 photos of LFW the lowest of a main face was 0.9, and hands,
flowers and cartoons lay between -8 and 0, but so do real faces in full profile, and many behind masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pipeline.faces.mesh import FaceMesh
from pipeline.faces.occlusion import Features, OcclusionJudge, occlusion_features
from pipeline.faces.quality import Quality, QualityLimits, gate, measure
from pipeline.faces.types import Face, Rgb
from pipeline.verdict import GateResult, Outcome

SECOND_FACE: Final = 0.5
"""A face whose side is at most this share of the main one's is a bystander's."""
CONFIDENT: Final = 0.7
"""What the detector must give a second face. Of 403 photos that were refused for several faces 105 had
a second one below it: mostly blurred bystanders whom the frame cut, hands and flowers."""
MOST_FACES: Final = 10
"""So many faces of a group photo are looked at, the largest first; a crowd costs no more."""


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """What can be said of a face without recognising it.

    ``quality`` and ``occlusion`` (one row for each part) are None for a face that cannot be the main
    one of its photo.
    """

    face: Face
    """With its mesh, where one fits."""
    cut_off: bool = False
    """An eye, the nose or the mouth lies outside the frame."""
    quality: Quality | None = None
    occlusion: Features | None = None

    @property
    def real(self) -> bool:
        """Whether the mesh sees a face there."""
        return self.face.presence is not None and self.face.presence >= 0

    def clear(self, limits: QualityLimits) -> bool:
        """Whether it is more than a bystander by its looks: surely a face, whole and in focus."""
        sharp = self.quality is not None and self.quality.sharpness >= limits.sharpness
        return self.real and self.face.score >= CONFIDENT and not self.cut_off and sharp


def refine(mesh: FaceMesh, rgb: Rgb, faces: Sequence[Face]) -> list[Face]:
    """The first `MOST_FACES` of ``faces``, which come the largest first, as the mesh sees them."""
    return [mesh.refine(rgb, face) for face in faces[:MOST_FACES]]


def observe(rgb: Rgb, faces: Sequence[Face], scale: float = 1.0) -> list[Observed]:
    """What can be said of faces that `refine` gave, the largest first.

    ``scale`` is how many pixels of the original photo make one of ``rgb``.
    """
    seen = [Observed(face, _cut_off(rgb, face)) for face in faces]
    largest = next((one for one in seen if one.real), seen[0] if seen else None)
    return [_measured(one, rgb, scale) if largest and _near(one, largest) else one for one in seen]


def people(seen: Sequence[Observed], limits: QualityLimits) -> tuple[int, ...]:
    """Numbers of the faces that count as persons, the main one first; none where nothing is a face.

    The main face is the largest clear one, or the largest. A second face counts where it is clear
    too, or larger than the main one.
    """
    real = [number for number, one in enumerate(seen) if one.real]
    if not real:
        return ()
    clear = [number for number in real if seen[number].clear(limits)]
    main = (clear or real)[0]
    side = seen[main].face.box.side
    others = (n for n in real if n != main)
    return main, *(n for n in others if seen[n].face.box.side > side * (SECOND_FACE if n in clear else 1))


def refused(
    seen: Observed, limits: QualityLimits, occlusion: OcclusionJudge
) -> tuple[Outcome, GateResult] | None:
    """The first gate that refuses the face, with its number; None where it passes all."""
    if seen.quality and (found := gate(seen.quality, limits)):
        return found
    hidden = occlusion.gate(seen.occlusion) if seen.occlusion else None
    return (Outcome.OCCLUDED, hidden) if hidden else None


def _near(one: Observed, largest: Observed) -> bool:
    """Whether its size lets it be the main face."""
    return one is largest or (one.real and one.face.box.side > SECOND_FACE * largest.face.box.side)


def _measured(one: Observed, rgb: Rgb, scale: float) -> Observed:
    """Its quality by the detector's landmarks, on which those gates' limits were set."""
    quality = measure(rgb, replace(one.face, mesh=None), scale)
    return replace(one, quality=quality, occlusion=occlusion_features(rgb, one.face))


def _cut_off(rgb: Rgb, face: Face) -> bool:
    height, width = rgb.shape[:2]
    points = face.landmarks[:4]
    return bool((points < 0).any() or (points[:, 0] > width).any() or (points[:, 1] > height).any())
