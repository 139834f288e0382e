"""One verification from bytes to verdict: look at every photo, embed, compare, decide."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pipeline.analysis import PhotoInput, Seen, look
from pipeline.bundles.models import Models
from pipeline.comparator import Comparator
from pipeline.decide import POLICY_VERSION, Policy, decide
from pipeline.faces.types import Vectors
from pipeline.verdict import REFUSED, Comparison, Gender, PhotoFinding, Verdict, Verified


def verify(
    models: Models,
    selfie: PhotoInput,
    photos: Sequence[PhotoInput],
    declared_gender: Gender | None = None,
    policy: Policy | None = None,
) -> Verdict:
    """Judge a member: is the person of ``selfie`` the one in the gallery ``photos``?

    Photos are file contents (JPEG, PNG, WebP, HEIC, BMP) or the reason why there are none. Never
    raises on their account: a damaged file is an outcome of its photo.
    """
    return verify_with_shadows([models], selfie, photos, declared_gender, policy).verdict


def verify_with_shadows(
    heads: Sequence[Models],
    selfie: PhotoInput,
    photos: Sequence[PhotoInput],
    declared_gender: Gender | None = None,
    policy: Policy | None = None,
) -> Verified:
    """`verify` by the first of the heads; the others, in shadow, judge the same analysis of the photos."""
    seen = look(heads, selfie, photos)
    champion, *shadows = (partial(judge, models, seen, declared_gender, policy) for models in heads)
    return Verified(champion(), tuple(shadows))


def judge(
    models: Models, seen: Seen, declared_gender: Gender | None = None, policy: Policy | None = None
) -> Verdict:
    """The verdict about photos that were looked at, by one head; by several, one after the other.

    Heads on the same networks share the embeddings that the first of them has asked for.
    """
    comparator, policy = Comparator(models, seen), policy or Policy()
    face, *gallery = comparator.subjects()
    if face.comparable:
        comparator.project([photo.key for photo in (face, *gallery) if comparator.compares(photo)])
    findings = comparator.confirm(gallery, [comparator.compare(face, photo) for photo in gallery])
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
        timings=dict(seen.timings),
    )


def usable_faces(
    models: Models, selfie: PhotoInput, photos: Sequence[PhotoInput]
) -> list[dict[str, Vectors] | None]:
    """The vectors of every photo's one face, (1, d) for each embedder, the selfie's first.

    None where a photo shows no such face or the face does not pass the gates: what a verification
    would not compare.
    """
    seen = look([models], selfie, photos)
    subjects = Comparator(models, seen).subjects()
    return [
        seen.embed(models, [one.key], models.judges.dimensions) if one.comparable else None
        for one in subjects
    ]


def _deciding_comparison(photo: int | None, findings: Sequence[PhotoFinding]) -> Comparison | None:
    """The comparison that the verdict rests on; else the most alike one of those judged."""
    judged = (f for f in findings if f.position == photo or f.outcome not in REFUSED)
    compared = {f.position: f.comparison for f in judged if f.comparison}
    if photo in compared:
        return compared[photo]
    return max(compared.values(), key=lambda c: c.score, default=None)
