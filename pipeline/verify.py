"""One verification from bytes to verdict: analyse every photo, embed, compare, decide."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pipeline.analysis import PhotoAnalysis, analyse
from pipeline.bundles.models import Models
from pipeline.comparator import Comparator
from pipeline.decide import POLICY_VERSION, Policy, decide
from pipeline.faces.types import Embeddings
from pipeline.verdict import REFUSED, Comparison, Gender, Photo, PhotoFinding, Verdict, Verified


def verify(
    models: Models,
    selfie: Photo,
    photos: Sequence[Photo],
    declared_gender: Gender | None = None,
    policy: Policy | None = None,
) -> Verdict:
    """Judge a member: is the person of ``selfie`` the one in the gallery ``photos``?

    Photos are file contents (JPEG, PNG, WebP, HEIC, BMP) or the reason why there are none. Never
    raises because of a photo: a damaged file is an outcome.
    """
    return verify_with_shadows([models], selfie, photos, declared_gender, policy).verdict


def verify_with_shadows(
    heads: Sequence[Models],
    selfie: Photo,
    photos: Sequence[Photo],
    declared_gender: Gender | None = None,
    policy: Policy | None = None,
) -> Verified:
    """`verify` by the first of the heads; the others, in shadow, judge the same analysis of the photos."""
    analysis = analyse(heads, selfie, photos)
    champion, *shadows = (partial(judge, models, analysis, declared_gender, policy) for models in heads)
    return Verified(champion(), tuple(shadows))


def judge(
    models: Models,
    analysis: PhotoAnalysis,
    declared_gender: Gender | None = None,
    policy: Policy | None = None,
) -> Verdict:
    """The verdict of one head on analysed photos.

    Several heads may judge one analysis in turn; those on the same networks share its embeddings.
    """
    comparator, policy = Comparator(models, analysis), policy or Policy()
    face, *gallery = comparator.subjects()
    findings = comparator.compare_all(face, gallery)
    gender = comparator.gender(face, gallery, findings)
    decision = decide(face.finding, findings, gender, declared_gender, policy, calibrated=models.calibrated)
    deciding = _deciding_comparison(decision.photo, findings)
    return Verdict(
        status=decision.status,
        reason=decision.reason,
        photo=decision.photo,
        same_person=decision.same_person,
        similarity=deciding.similarity if deciding else None,
        gender=gender.gender,
        gender_probability=gender.probability,
        selfie=face.finding,
        photos=tuple(findings),
        model_version=models.version,
        policy_version=POLICY_VERSION,
        timings=dict(analysis.timings),
    )


def embed_usable_faces(
    models: Models, selfie: Photo, photos: Sequence[Photo]
) -> list[dict[str, Embeddings] | None]:
    """The embeddings of every photo's one face, (1, d) for each embedder, the selfie's first.

    None where a verification would not compare the photo: it shows no face, several people, or a face that
    a gate refuses.
    """
    analysis = analyse([models], selfie, photos)
    subjects = Comparator(models, analysis).subjects()
    return [
        analysis.embed(models, [one.key], models.params.dimensions) if one.comparable else None
        for one in subjects
    ]


def _deciding_comparison(photo: int | None, findings: Sequence[PhotoFinding]) -> Comparison | None:
    """The comparison of the photo that decided; else the one with the highest score."""
    judged = (f for f in findings if f.position == photo or f.outcome not in REFUSED)
    compared = {f.position: f.comparison for f in judged if f.comparison}
    if photo in compared:
        return compared[photo]
    return max(compared.values(), key=lambda c: c.score, default=None)
