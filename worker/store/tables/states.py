"""The words that the database keeps beside those of `pipeline.verdict`."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a request stands."""

    QUEUED = "queued"
    RUNNING = "running"
    """Belongs to a process until its lease ends."""
    RETRY_WAIT = "retry_wait"
    """Waits for a photo server; is due again at `next_attempt_at`."""
    DONE = "done"
    DEAD = "dead"
    SUPERSEDED = "superseded"
    """A newer request of the same member came before it ended."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self in (State.DONE, State.DEAD, State.SUPERSEDED)


MEMBER_STATES = (State.QUEUED, State.RETRY_WAIT, State.DONE, State.DEAD)
"""Where the newest request of a member can stand, as the app is told: a running one counts as queued."""
RESULT_STATES = (*MEMBER_STATES, State.SUPERSEDED)
"""The same of any request."""


class Decider(StrEnum):
    """Who decided."""

    MACHINE = "machine"
    PERSON = "person"


class PairLabel(StrEnum):
    """What a person says of a gallery photo against the selfie."""

    GENUINE = "genuine"
    IMPOSTOR = "impostor"
    CANNOT_TELL = "cannot_tell"
    """Nothing is learned from it."""


LEARNED_LABELS = (PairLabel.GENUINE, PairLabel.IMPOSTOR)


class Phase(StrEnum):
    """When a person gave a label."""

    BLIND = "blind"
    """Before anything was shown but the photos."""
    EVIDENCE = "evidence"
    """After the person had seen what the machine found."""


class Cause(StrEnum):
    """Why there is a case. A reviewer does not see it before the answers are given."""

    VERDICT = "verdict"
    """The machine asked for a person, or its approval was sampled for the blind audit."""
    CORRECTION = "correction"
    """A person wants an earlier decision looked at again."""
    OBJECTION = "objection"
    """The member asks for a person."""
    RETRIES = "retries"
    """The machine has asked the member for another photo again and again."""
    MANUAL = "manual"
    """The app wants a person in place of the machine."""


class ObjectionWay(StrEnum):
    """How an objection reached us."""

    MESSAGE = "message"
    OPERATOR = "operator"
    """A letter or a call, which a person wrote down."""


class Choice(StrEnum):
    """What a reviewer makes of a case."""

    APPROVE = "approve"
    REJECT = "reject"
    NEW_PHOTO = "new_photo"
    ESCALATE = "escalate"
    UNDO = "undo"
    """Takes back the reviewer's own choice before."""


class Purpose(StrEnum):
    """What a member agrees to."""

    VERIFICATION = "verification"
    TRAINING = "training"


class ConsentSource(StrEnum):
    """How we learned of it."""

    APP = "app"
    """By SQL."""
    IMPORT = "import"
    OPERATOR = "operator"
    MESSAGE = "message"


class ModelState(StrEnum):
    """Where a model stands."""

    CHALLENGER = "challenger"
    SHADOW = "shadow"
    CHAMPION = "champion"
    REJECTED = "rejected"
    RETIRED = "retired"


class RunState(StrEnum):
    """Where a retraining stands."""

    QUEUED = "queued"
    COLLECTING = "collecting"
    """Verify workers look at the members' photos."""
    TRAINING = "training"
    DONE = "done"
    """A challenger is kept; nobody promoted it."""
    FAILED = "failed"
    REJECTED = "rejected"
    """The gate refused the challenger; the champion stays."""
    PROMOTED = "promoted"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self not in (RunState.QUEUED, RunState.COLLECTING, RunState.TRAINING)


class Studied(StrEnum):
    """Where a member of a retraining stands."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


class Role(StrEnum):
    """What a person may do in the console; one may have several."""

    REVIEWER = "reviewer"
    """Decides cases."""
    CHECKER = "checker"
    """The same, gets escalated cases, and sees the report about reviewers."""
    OPERATOR = "operator"
    """Runs the system: members, dead jobs, models, retraining, objections."""
    AUDITOR = "auditor"
    """Reads the records and signs the month's access review; changes nothing else."""
    ADMIN = "admin"
    """Accounts and roles; nothing of members."""


class StaffAction(StrEnum):
    """What was done to the account of a person of the console."""

    INVITED = "invited"
    GIVEN = "given"
    """A role."""
    TAKEN = "taken"
    """A role."""
    RESET = "reset"
    """Password and second factor were made void; the person chooses new ones."""
    CLOSED = "closed"


class Stage(StrEnum):
    """How far somebody has come in signing in."""

    ENROLMENT = "enrolment"
    """Has shown an invitation, and chooses a password and a second factor."""
    PASSWORD = "password"  # noqa: S105 - the name of a stage
    """Has given the password; the code is missing."""
    COMPLETE = "complete"
