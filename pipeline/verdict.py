"""Findings about photos and verdicts on members.

All values are frozen. They cross every boundary of the project (pipeline to worker, worker to database), so
none holds an image, a face or an embedding.
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
    """The score lies between the two thresholds."""
    GROUP_SAME = "group_same"
    """Several faces, one of which matches. Counts neither for nor against the member."""
    MEMBER_NOT_SEEN = "member_not_seen"
    """Several faces, none of which matches. Counts neither for nor against the member."""
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
    """A usable gallery face without a usable selfie to compare it with; a photo that only people look at."""


JUDGED = frozenset({Outcome.SAME, Outcome.DIFFERENT, Outcome.UNSURE})
"""Outcomes of one face that passed every gate and was compared."""
REFUSED = frozenset(
    {
        *(Outcome.FACE_TOO_SMALL, Outcome.TOO_BLURRED, Outcome.TOO_DARK, Outcome.TOO_BRIGHT),
        *(Outcome.EXTREME_POSE, Outcome.OCCLUDED),
    }
)
"""Outcomes of a face that a quality gate refused."""


class PhotoVerdict(StrEnum):
    """How one gallery photo may be labelled for others."""

    VERIFIED = "verified"
    """It shows the person of the selfie."""
    NOT_VERIFIED = "not_verified"
    """Unknown: no face, a face that a gate refused, a group, or a score between the thresholds."""
    CONTRADICTS = "contradicts"
    """It certainly shows somebody else, or several people of whom none is the member."""


class Status(StrEnum):
    """The status of a member's verdict."""

    APPROVED = "approved"
    REVIEW = "review"
    RETRY_PHOTO = "retry_photo"
    REJECTED = "rejected"
    """Only by a person, or where the operator's policy switched it on."""
    ERROR = "error"
    """Could not be judged because of a fault of ours or of the photo host."""


class Fault(StrEnum):
    """Whose fault it is that a photo could not be judged."""

    MEMBER = "member"
    HOST = "host"
    OURS = "ours"


class FetchProblem(StrEnum):
    """Why a photo could not be fetched."""

    GONE = "gone"
    """404 or 410."""
    FORBIDDEN = "forbidden"
    """401 or 403."""
    EXPIRED = "expired"
    """A signed URL past its date."""
    TOO_LARGE = "too_large"
    WRONG_TYPE = "wrong_type"
    """The server declares another type than an image, or the body is empty."""
    REFUSED_ADDRESS = "refused_address"
    """Not an address that photos may be fetched from: host, scheme, port or IP address."""
    BAD_RESPONSE = "bad_response"
    """Redirect loops, wrong lengths, encodings that were not requested, other 4xx."""
    TIMEOUT = "timeout"
    SERVER_ERROR = "server_error"
    """5xx or 429."""
    UNREACHABLE = "unreachable"
    """Name resolution, connection or TLS handshake failed."""

    @property
    def passing(self) -> bool:
        """Whether a later attempt may succeed."""
        return self in (FetchProblem.TIMEOUT, FetchProblem.SERVER_ERROR, FetchProblem.UNREACHABLE)


class Reason(StrEnum):
    """The deciding reason of a verdict; a stable code."""

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
    PHOTO_REUSED = "photo_reused"
    """Another member has used a photo of this request."""
    TOO_MANY_TRIES = "too_many_tries"
    """An approval after many requests of the member that approved nothing: a person looks at it."""
    MANY_RETRIES = "many_retries"
    """The third request in a row for which the machine asks for another photo: a person looks at it."""
    BLIND_AUDIT = "blind_audit"
    MANUAL = "manual"
    """A person looks in place of the machine, which has compared nothing."""
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
    """No gallery photo could be fetched, through no fault of the member."""
    NO_PHOTOS = "no_photos"
    """The gallery is empty."""
    INTERNAL_ERROR = "internal_error"
    APPROVED_BY_PERSON = "approved_by_person"
    REJECTED_BY_PERSON = "rejected_by_person"
    RETRY_PHOTO_BY_PERSON = "retry_photo_by_person"
    """The last three are decisions of reviewers, never of the machine."""


@dataclass(frozen=True, slots=True)
class NotFetched:
    """Why a photo has no bytes."""

    problem: FetchProblem
    fault: Fault
    detail: str = ""
    """For operators; never holds a URL."""
    retry_after: timedelta | None = None
    """The wait that its host asked for, capped; also where only a fresh link may help, in a while."""

    @property
    def passing(self) -> bool:
        """Whether a later attempt may succeed."""
        return self.problem.passing or self.retry_after is not None


Photo = bytes | NotFetched
"""A photo's bytes, or why there are none."""


@dataclass(frozen=True, slots=True)
class Box:
    """A face box in pixels: left, top, width, height."""

    x: float
    y: float
    width: float
    height: float

    @property
    def side(self) -> float:
        return max(self.width, self.height)

    @property
    def centre(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height / 2


class Landmark(StrEnum):
    """A point of a face; right and left are the person's own."""

    RIGHT_EYE = "right_eye"
    LEFT_EYE = "left_eye"
    NOSE = "nose"
    MOUTH = "mouth"
    """Its middle, where the corners are not known."""
    MOUTH_RIGHT = "mouth_right"
    MOUTH_LEFT = "mouth_left"


Landmarks = Mapping[Landmark, tuple[float, float]]
"""Points of one face by which it was aligned, as (x, y)."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """The quality gate that a face did not pass: the measured value and the limit."""

    name: str
    value: float
    limit: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison of a gallery face with the selfie's face.

    ``cosines`` and ``distances`` (Euclidean, 0..2) have one entry for each embedder by name.
    ``similarity`` is 0..1 and 0.5 is the approve threshold; ``score`` and the thresholds share a scale.
    ``different_threshold`` depends on the photo: it is lower where a gate refused the face.
    """

    score: float
    similarity: float
    approve_threshold: float
    different_threshold: float
    cosines: Mapping[str, float]
    distances: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PerceptualHash:
    """Of a picture, 64 and 256 bits (`pipeline.images.perceptual_hash`): near copies differ in few."""

    coarse: int
    fine: int

    def differs(self, other: PerceptualHash) -> tuple[int, int]:
        """In how many bits, coarse and fine."""
        return (self.coarse ^ other.coarse).bit_count(), (self.fine ^ other.fine).bit_count()


@dataclass(frozen=True, slots=True)
class PictureHashes:
    """The perceptual hashes of a picture and of its mirror image."""

    picture: PerceptualHash
    mirror: PerceptualHash
    featureless: bool = False
    """The picture is so plain that others have its hash, too."""


@dataclass(frozen=True, slots=True)
class PhotoFinding:
    """What is stored about one photo of a request."""

    position: int
    """0 is the selfie, 1 the first (primary) gallery photo."""
    outcome: Outcome
    fault: Fault | None = None
    sha256: str | None = None
    """Of the file's bytes, hexadecimal."""
    faces: int = 0
    """Number of people; one person who appears several times counts once."""
    box: Box | None = None
    """The face that was compared, in pixels of the picture as `pipeline.images.decode` returns it."""
    landmarks: Landmarks | None = None
    """Of the same face, in the same pixels; None where there is no box, and in findings of older versions."""
    gate: GateResult | None = None
    quality: Mapping[str, float] = field(default_factory=dict)
    comparison: Comparison | None = None
    fetch_problem: FetchProblem | None = None
    detail: str = ""
    replay: bool = False
    """The same picture as the selfie: the same bytes, a near copy, or an implausibly high score."""
    hashes: PictureHashes | None = field(default=None, compare=False, repr=False)
    """None where no picture was decoded, and in what is read back from the database."""
    verdict: PhotoVerdict | None = field(init=False)
    """How the photo may be labelled; None for a selfie."""

    @property
    def solo(self) -> bool:
        """Whether it shows one person only."""
        return self.faces == 1

    @property
    def one_person(self) -> bool:
        """Whether it shows one person only, whose face can be judged or was compared."""
        judged = self.outcome in (Outcome.USABLE, Outcome.NOT_COMPARED) or self.comparison is not None
        return self.solo and judged

    @classmethod
    def not_fetched(cls, position: int, photo: NotFetched) -> PhotoFinding:
        """What is known of a photo without bytes."""
        return cls(
            position,
            Outcome.NOT_FETCHED,
            photo.fault,
            fetch_problem=photo.problem,
            detail=photo.detail,
        )

    def __post_init__(self) -> None:
        object.__setattr__(self, "verdict", self._verdict())

    def _verdict(self) -> PhotoVerdict | None:
        if self.position == 0:
            return None
        if self.outcome is Outcome.SAME and not self.replay:
            return PhotoVerdict.VERIFIED
        compared = self.comparison
        if self.outcome is Outcome.DIFFERENT or (compared and compared.score < compared.different_threshold):
            return PhotoVerdict.CONTRADICTS
        return PhotoVerdict.NOT_VERIFIED


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision about a member, with the findings of every photo.

    ``same_person`` is None where nothing could be compared. ``photo`` is the position of the photo that the
    reason refers to. ``timings`` are milliseconds by stage.
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
    """Empty where none was asked."""
    policy_version: str
    timings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verified:
    """The verdict of the champion; those of heads in shadow are computed when they are called."""

    verdict: Verdict
    shadows: tuple[Callable[[], Verdict], ...] = ()


@dataclass(frozen=True, slots=True)
class GenderReading:
    """The gender read from faces; ``probability`` (0.5..1) is that of the likelier gender."""

    gender: Gender
    probability: float | None

    def contradicts(self, declared: Gender | None, at_least: float) -> bool:
        """Whether the reading contradicts the declared gender with at least this probability."""
        if declared in (None, Gender.UNKNOWN) or self.gender is Gender.UNKNOWN or self.probability is None:
            return False
        return self.gender is not declared and self.probability >= at_least
