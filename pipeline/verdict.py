"""The words of this product: what is found in a photo, what is decided for a member.

Frozen values only. They cross every boundary of the project (pipeline to worker, worker
to database), so nothing here holds an image, a face or an embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum


class Gender(StrEnum):
    """The gender that a face shows; ``UNKNOWN`` inside the margin band."""

    MALE = "male"
    FEMALE = "female"
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """What was found in one photo. Each is a result, none is an error."""

    USABLE = "usable"
    """A selfie with exactly one face that can be judged."""
    SAME = "same"
    DIFFERENT = "different"
    UNSURE = "unsure"
    """The score lies between the two edges."""
    GROUP_SAME = "group_same"
    """Several faces, one of them matches. Neutral: proves nothing, speaks against nobody."""
    MEMBER_NOT_SEEN = "member_not_seen"
    """Several faces, none of them matches. Neutral."""
    NO_FACE = "no_face"
    SEVERAL_FACES = "several_faces"
    """A selfie with a second face more than half as large as the first."""
    FACE_TOO_SMALL = "face_too_small"
    TOO_BLURRED = "too_blurred"
    TOO_DARK = "too_dark"
    TOO_BRIGHT = "too_bright"
    EXTREME_POSE = "extreme_pose"
    OCCLUDED = "occluded"
    NOT_FETCHED = "not_fetched"
    INVALID_IMAGE = "invalid_image"
    NOT_COMPARED = "not_compared"
    """A usable gallery face with no usable selfie to hold it against."""


JUDGED = frozenset({Outcome.SAME, Outcome.DIFFERENT, Outcome.UNSURE})
"""A face alone that passed every gate and was compared."""
REFUSED = frozenset(
    {
        *(Outcome.FACE_TOO_SMALL, Outcome.TOO_BLURRED, Outcome.TOO_DARK, Outcome.TOO_BRIGHT),
        *(Outcome.EXTREME_POSE, Outcome.OCCLUDED),
    }
)
"""A face that a quality gate refused."""


class PhotoVerdict(StrEnum):
    """What one gallery photo may be shown as."""

    VERIFIED = "verified"
    """It shows the person of the selfie."""
    NOT_VERIFIED = "not_verified"
    """Nobody can say: no face, a face that cannot be judged, a group, or a doubtful likeness."""
    CONTRADICTS = "contradicts"
    """It shows, confidently, somebody else, or several people of whom none is the member."""


class Status(StrEnum):
    """The member's verdict."""

    APPROVED = "approved"
    REVIEW = "review"
    RETRY_PHOTO = "retry_photo"
    REJECTED = "rejected"
    """Only by a person, or where the operator's policy switched it on."""
    ERROR = "error"
    """Could not be judged, by our fault or the photo host's; never the member's."""


class Fault(StrEnum):
    """Whose fault it is that a photo could not be judged."""

    MEMBER = "member"
    HOST = "host"
    OURS = "ours"


class FetchProblem(StrEnum):
    """Why a photo could not be had."""

    GONE = "gone"
    """404 or 410."""
    FORBIDDEN = "forbidden"
    """401 or 403."""
    EXPIRED = "expired"
    """A signed URL past its date."""
    TOO_LARGE = "too_large"
    WRONG_TYPE = "wrong_type"
    """The server says that it is no image, or the body is empty."""
    REFUSED_ADDRESS = "refused_address"
    """Not an address that photos may be fetched from: host, scheme, port or IP address."""
    BAD_RESPONSE = "bad_response"
    """Redirect loops, lying lengths, encodings that were not asked for, other 4xx."""
    TIMEOUT = "timeout"
    SERVER_ERROR = "server_error"
    """5xx or 429."""
    UNREACHABLE = "unreachable"
    """No name, no connection, a broken TLS handshake."""

    @property
    def passing(self) -> bool:
        """Whether trying again later may help."""
        return self in (FetchProblem.TIMEOUT, FetchProblem.SERVER_ERROR, FetchProblem.UNREACHABLE)


class Reason(StrEnum):
    """The one deciding reason of a verdict; a stable code."""

    SAME_PERSON = "same_person"
    DIFFERENT_PERSON = "different_person"
    PRIMARY_UNSURE = "primary_unsure"
    PRIMARY_NOT_JUDGED = "primary_not_judged"
    """The first gallery photo shows no face that can be judged; a later one does."""
    PRIMARY_NOT_MEMBER = "primary_not_member"
    """The first gallery photo shows several people, none of them the member."""
    NO_SOLO_PHOTO = "no_solo_photo"
    """Only group photos could be judged: they never prove a member."""
    SAME_PICTURE = "same_picture"
    GENDER_CONFLICT = "gender_conflict"
    SELFIE_CHANGED = "selfie_changed"
    """A second selfie that disagrees with the first."""
    BLIND_AUDIT = "blind_audit"
    SELFIE_NO_FACE = "selfie_no_face"
    SELFIE_SEVERAL_FACES = "selfie_several_faces"
    SELFIE_FACE_TOO_SMALL = "selfie_face_too_small"
    SELFIE_TOO_BLURRED = "selfie_too_blurred"
    SELFIE_TOO_DARK = "selfie_too_dark"
    SELFIE_TOO_BRIGHT = "selfie_too_bright"
    SELFIE_EXTREME_POSE = "selfie_extreme_pose"
    SELFIE_OCCLUDED = "selfie_occluded"
    SELFIE_INVALID = "selfie_invalid"
    SELFIE_NOT_FETCHED = "selfie_not_fetched"
    NO_USABLE_PHOTO = "no_usable_photo"
    """No gallery photo shows a face that can be judged."""
    PHOTOS_NOT_FETCHED = "photos_not_fetched"
    """No gallery photo could be had, and that was not the member's fault."""
    NO_PHOTOS = "no_photos"
    """The gallery is empty."""
    INTERNAL_ERROR = "internal_error"
    APPROVED_BY_PERSON = "approved_by_person"
    REJECTED_BY_PERSON = "rejected_by_person"
    """These two are of a person's decision, and never of a verdict by the machine."""


@dataclass(frozen=True, slots=True)
class NotFetched:
    """Why a photo has no bytes."""

    problem: FetchProblem
    fault: Fault
    detail: str = ""
    """For operators; never holds a URL."""
    retry_after: timedelta | None = None
    """The wait that its host asked for, capped."""


Photo = bytes | NotFetched
"""A photo's bytes, or why there are none."""


@dataclass(frozen=True, slots=True)
class Box:
    """A face box in pixels of the upright photo: left, top, width, height."""

    x: float
    y: float
    width: float
    height: float

    @property
    def side(self) -> float:
        """The larger side in pixels."""
        return max(self.width, self.height)

    @property
    def centre(self) -> tuple[float, float]:
        """The middle point (x, y) in pixels."""
        return self.x + self.width / 2, self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class GateResult:
    """The quality gate that a face did not pass: its number against its limit."""

    name: str
    value: float
    limit: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """A gallery face against the selfie's face.

    ``cosines`` and ``distances`` (Euclidean, 0..2) have one entry for each embedder by name.
    ``similarity`` is 0..1 and 0.5 is the approve edge; ``score`` and the edges share a scale.
    ``different_edge`` is the one for this kind of photo: lower where a gate refused the face.
    """

    score: float
    similarity: float
    approve_edge: float
    different_edge: float
    cosines: Mapping[str, float]
    distances: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PhotoFinding:
    """All that is kept about one photo of a job."""

    position: int
    """0 is the selfie, 1 the first (primary) gallery photo."""
    outcome: Outcome
    fault: Fault | None = None
    sha256: str | None = None
    """Of the file's bytes, hexadecimal."""
    faces: int = 0
    """People in it. One person who is in it several times counts once."""
    box: Box | None = None
    """The face that was judged."""
    gate: GateResult | None = None
    quality: Mapping[str, float] = field(default_factory=dict)
    comparison: Comparison | None = None
    fetch_problem: FetchProblem | None = None
    detail: str = ""
    replay: bool = False
    """The same picture as the selfie: bytes, near copy or an implausible similarity."""
    verdict: PhotoVerdict | None = field(init=False)
    """What the photo may be shown as; None of a selfie."""

    @property
    def solo(self) -> bool:
        """Whether it shows one person only."""
        return self.faces == 1

    def __post_init__(self) -> None:
        """The verdict follows from the rest."""
        object.__setattr__(self, "verdict", self._verdict())

    def _verdict(self) -> PhotoVerdict | None:
        if self.position == 0:
            return None
        if self.outcome is Outcome.SAME and not self.replay:
            return PhotoVerdict.VERIFIED
        compared = self.comparison
        if self.outcome is Outcome.DIFFERENT or (compared and compared.score < compared.different_edge):
            return PhotoVerdict.CONTRADICTS
        return PhotoVerdict.NOT_VERIFIED


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is decided for a member, with the numbers for every photo.

    ``same_person`` is None where nothing could be compared. ``photo`` is the position of the
    photo that the reason speaks of. ``timings`` are milliseconds by stage.
    """

    status: Status
    reason: Reason
    photo: int | None
    same_person: bool | None
    similarity: float | None
    gender: Gender
    gender_probability: float | None
    """Probability of the gender given, 0.5..1; of the likelier one where it is unknown."""
    selfie: PhotoFinding
    photos: tuple[PhotoFinding, ...]
    model_version: str
    policy_version: str
    timings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verified:
    """The verdict of the champion; those of heads in shadow are computed when they are called."""

    verdict: Verdict
    shadows: tuple[Callable[[], Verdict], ...] = ()


@dataclass(frozen=True, slots=True)
class GenderReading:
    """What the faces say of the gender; ``probability`` (0.5..1) is the likelier one's."""

    gender: Gender
    probability: float | None

    def contradicts(self, declared: Gender | None, at_least: float) -> bool:
        """Whether the declared gender is contradicted with enough confidence."""
        if declared in (None, Gender.UNKNOWN) or self.gender is Gender.UNKNOWN or self.probability is None:
            return False
        return self.gender is not declared and self.probability >= at_least
