"""What can go wrong in the worker.

Errors of sending (`NotSent`) and of what an app asks for are the client's: `worker.client.errors`.

* WorkerError
  + RetryableError            may go well later: the job is kept and tried again
    - StoreUnavailable        the database cannot be reached, is locked, or has no tables yet
    - TrainingDied            the training process was killed or ended without a result
  + PermanentError            will not go well by itself: recorded, not tried again
    - BadMessage              a message that is not a job; carries a stable code
    - RequestConflict         a request ID that was used before, with other content
    - MemberForgotten         the member was erased; nothing about them may be written
    - ConsentWithdrawn        the member agrees to no verification; nothing of theirs is judged
    - NotRequeueable          a dead job that cannot be made into a job again
    + NotPossible             what a person asked for does not fit what stands in the database
      - CaseGone              a case that is closed, or whose member was erased
      - ClaimLost             a case that is somebody else's, or nobody's, by now
      - CaseChanged           a case with a newer request, or with other photos than were looked at
      - CaseSuspended         a case of a member who has withdrawn consent to verification
      - ObjectionRefused      an objection that nobody can decide about; carries a stable code
      - WeakPassword          a password that is not accepted; carries a stable code
      - LastAdmin             nobody could give roles any more
    - StoreRefused            the database does not take the values
    - BadSettings             an environment variable is wrong; its name is in the text
    - SchemaConflict          tables of other people stand where ours should be
    - MappingError            the app's member table is not as the settings say
    - Undecipherable          a value in the database that our keys do not decrypt; carries a stable code
    - TrainingFailed          the members' faces give no new model; the text says why
"""

from __future__ import annotations


class WorkerError(Exception):
    """Base of everything that the worker raises on purpose."""


class RetryableError(WorkerError):
    """May go well later: the job is kept and tried again."""


class StoreUnavailable(RetryableError):
    """The database cannot be reached, is locked, or has no tables yet."""


class TrainingDied(RetryableError):
    """The training process was killed or ended without a result; the text ends with its last line."""


class PermanentError(WorkerError):
    """Will not go well by itself: recorded, not tried again."""


class BadMessage(PermanentError):
    """A message that is not a job.

    ``code`` is stable and meant for programs; ``text`` is for people and holds no value out of
    the message, for it may be logged.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


class RequestConflict(PermanentError):
    """A request ID that was used before, with other content."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"request {request_id} was sent before with other content")
        self.request_id = request_id


class MemberForgotten(PermanentError):
    """The member was erased; nothing about them may be written."""


class ConsentWithdrawn(PermanentError):
    """The member agrees to no verification; nothing of theirs is judged."""


class NotRequeueable(PermanentError):
    """A dead job that cannot be made into a job again; the text says why."""


class NotPossible(PermanentError):
    """What a person asked for does not fit what stands in the database; the text says why.

    ``code``: stable, where a page says the same in its own words; else empty.
    """

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


class CaseGone(NotPossible):
    """A case that is closed, or whose member was erased."""


class ClaimLost(NotPossible):
    """A case that is somebody else's, or nobody's, by now; ``reviewer`` has it."""

    def __init__(self, text: str, reviewer: str | None) -> None:
        super().__init__(text)
        self.reviewer = reviewer


class CaseChanged(NotPossible):
    """A case with a newer request, or with other photos than were looked at."""


class CaseSuspended(NotPossible):
    """A case of a member who has withdrawn consent to verification: it waits until they agree again."""


class ObjectionRefused(NotPossible):
    """An objection that nobody can decide about; ``code`` is stable and meant for programs."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text, code)


class WeakPassword(NotPossible):
    """A password that is not accepted; ``code`` is stable and meant for programs."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class LastAdmin(NotPossible):
    """After this nobody could give roles any more."""


class Undecipherable(PermanentError):
    """A value in the database that our keys do not decrypt.

    ``code``: `other_key`, `not_encrypted`, or `damaged` (which one from another row is, too).
    """

    def __init__(self, code: str) -> None:
        super().__init__(f"a value in the database cannot be decrypted ({code})")
        self.code = code


class StoreRefused(PermanentError):
    """The database does not take the values."""


class BadSettings(PermanentError):
    """An environment variable is wrong; its name is in the text, its value is not."""


class SchemaConflict(PermanentError):
    """Tables of other people stand where ours should be."""


class MappingError(PermanentError):
    """The app's member table is not as the settings say."""


class TrainingFailed(PermanentError):
    """The members' faces give no new model; the text says why."""
