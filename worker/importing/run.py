"""The story of an import: row by row, batch by batch; what is wrong never stops what is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from worker.clock import utc_now
from worker.errors import StoreRefused
from worker.importing.columns import Columns
from worker.importing.errors import RefusedRow, write_errors
from worker.importing.rows import BadRow, member_of, with_links
from worker.importing.workbook import Row, Workbook, open_workbook
from worker.store import Change, MemberRecord, NewMember

BATCH: Final = 200
"""Members in one transaction: sign-ups wait for their rows only that long."""
_MOST_WARNINGS: Final = 100
_FORGOTTEN: Final = (
    "정보가 삭제된 회원번호이므로 다시 등록하지 않습니다 "
    "(all about this member was erased: the ID is not taken in again)"
)

Progress = Callable[[int, int | None], None]
"""Called with the number of rows that have been dealt with, and that of all where the file tells."""


class MemberStore(Protocol):
    """The part of the store that an import needs."""

    def import_members(self, members: Sequence[NewMember], now: datetime) -> list[Change]:
        """One transaction; the answers in the order given."""
        ...

    def member(self, member_id: str) -> MemberRecord | None:
        """What is known of a member."""
        ...

    def forgotten(self, member_ids: Iterable[str]) -> set[str]:
        """Those of the members who were erased."""
        ...


@dataclass(slots=True)
class Report:
    """What became of a file; ``changes`` counts what was, or in a dry run would be, done."""

    sheet: str
    columns: Columns
    other_sheets: tuple[str, ...] = ()
    rows: int = 0
    refused: int = 0
    changes: Counter[Change] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)
    errors_file: Path | None = None
    """The workbook with the refused rows; None where there were none."""

    def warn(self, text: str) -> None:
        """Kept up to a number that a person still reads."""
        if len(self.warnings) < _MOST_WARNINGS:
            self.warnings.append(text)


def import_workbook(
    path: Path,
    store: MemberStore | None,
    *,
    errors_file: Path,
    dry_run: bool = False,
    progress: Progress = lambda _done, _total: None,
) -> Report:
    """Bring the members of a workbook into the store, where they wait for a request.

    A dry run writes nothing but the error workbook; without a store it cannot say what would
    change. Raises BadWorkbook, StoreUnavailable (what was written before it stays: run it again)
    and CannotWrite.
    """
    with open_workbook(path) as workbook:
        return _Import(workbook, store, dry_run=dry_run, progress=progress).run(errors_file)


class _Import:
    def __init__(
        self, workbook: Workbook, store: MemberStore | None, *, dry_run: bool, progress: Progress
    ) -> None:
        self._workbook, self._store = workbook, store
        self._dry_run, self._progress = dry_run, progress
        self._report = Report(workbook.sheet, workbook.columns, workbook.other_sheets)
        self._errors: list[RefusedRow] = []
        self._seen: dict[str, int] = {}
        self._folded: dict[str, str] = {}

    def run(self, errors_file: Path) -> Report:
        batch: list[tuple[Row, NewMember]] = []
        for row, member in self._good_rows():
            batch.append((row, member))
            if len(batch) == BATCH:
                self._write(batch)
                batch = []
        self._write(batch)
        if self._errors:
            write_errors(errors_file, self._workbook.headers, self._errors)
            self._report.errors_file = errors_file
        return self._report

    def _good_rows(self) -> Iterator[tuple[Row, NewMember]]:
        workbook = self._workbook
        for row in workbook.rows():
            self._report.rows += 1
            try:
                member = member_of(row, workbook.columns, workbook.link)
                self._refuse_double(row, member.member_id)
            except BadRow as bad:
                self._refuse(row, str(bad))
            else:
                yield row, member

    def _refuse_double(self, row: Row, member_id: str) -> None:
        """The first row of a member counts. IDs that differ only in case are two members."""
        first = self._seen.setdefault(member_id, row.number)
        if first != row.number:
            raise BadRow(f"{first}행과 같은 회원입니다 (the same member as in row {first})")
        other = self._folded.setdefault(member_id.casefold(), member_id)
        if other != member_id:
            self._report.warn(
                f"rows {self._seen[other]} and {row.number}: {other} and {member_id} differ only in case; "
                "they are taken as two members"
            )

    def _refuse(self, row: Row, reason: str) -> None:
        self._report.refused += 1
        cells = with_links(row, self._workbook.columns, self._workbook.link)
        self._errors.append(RefusedRow(row.number, cells, reason))

    def _write(self, batch: Sequence[tuple[Row, NewMember]]) -> None:
        if batch and self._store is not None:
            self._note(batch, self._changes(self._store, [member for _, member in batch]))
        self._progress(self._report.rows, self._workbook.expected_rows)

    def _changes(self, store: MemberStore, members: Sequence[NewMember]) -> list[Change | str]:
        if self._dry_run:
            gone = store.forgotten([new.member_id for new in members])
            return [
                Change.FORGOTTEN if new.member_id in gone else _would_be(store.member(new.member_id), new)
                for new in members
            ]
        try:
            return [*store.import_members(members, utc_now())]
        except StoreRefused:
            return [_alone(store, member) for member in members]

    def _note(self, batch: Sequence[tuple[Row, NewMember]], changes: Sequence[Change | str]) -> None:
        for (row, _), change in zip(batch, changes, strict=True):
            if isinstance(change, Change):
                self._report.changes[change] += 1
            else:
                self._refuse(row, change)
            if change is Change.FORGOTTEN:
                self._refuse(row, _FORGOTTEN)


def _alone(store: MemberStore, member: NewMember) -> Change | str:
    """One by one where a batch was refused: the one that is at fault must not stop the others."""
    try:
        return store.import_members([member], utc_now())[0]
    except StoreRefused as error:
        return f"데이터베이스가 받지 않았습니다 ({error})"


def _would_be(known: MemberRecord | None, new: NewMember) -> Change:
    if known is None:
        return Change.CREATED
    same = (known.declared_gender, known.selfie_url, known.photo_urls) == (
        new.declared_gender,
        new.selfie_url,
        new.photo_urls,
    )
    same_consent = new.training_consent in (None, known.training_consent)
    return Change.UNCHANGED if same and same_consent else Change.CHANGED
