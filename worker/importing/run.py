"""The import of a file, member by member and batch by batch; what is wrong never stops what is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from worker.clock import utc_now
from worker.errors import StoreRefused
from worker.importing.cells import listed
from worker.importing.columns import Columns
from worker.importing.error_workbook import RefusedRow, write_errors
from worker.importing.members import Entry, MemberRefused, entries_of, member_of, returned
from worker.importing.workbook import Workbook, read_workbook
from worker.store import Access, Change, MemberRecord, NewMember

BATCH: Final = 200
"""Members in one transaction: sign-ups wait for their rows only that long."""
_FORGOTTEN: Final = (
    "정보가 삭제된 회원번호이므로 다시 등록하지 않습니다 "
    "(all about this member was erased: the ID is not taken in again)"
)

Progress = Callable[[int, int], None]
"""Called with the number of rows that have been dealt with, and that of all."""


class Members(Protocol):
    """The members of the store, as an import needs them."""

    def import_list(
        self, members: Sequence[NewMember], now: datetime, by: Access | None = None, version: str = ""
    ) -> list[Change]:
        """One transaction; the answers in the order given."""

    def find(self, member_id: str) -> MemberRecord | None: ...

    def forgotten(self, member_ids: Iterable[str]) -> set[str]:
        """Those of the members who were erased."""


@dataclass(slots=True)
class Report:
    """What became of a file; ``changes`` counts the members that were, or in a dry run would be, changed."""

    sheet: str
    headers: Sequence[str]
    columns: Columns
    other_sheets: tuple[str, ...] = ()
    rows: int = 0
    changes: Counter[Change] = field(default_factory=Counter)
    refused_rows: list[RefusedRow] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    errors_file: Path | None = None
    """The workbook with the refused rows; None where there were none, and in a dry run."""

    @property
    def refused(self) -> int:
        """How many rows were not imported."""
        return len(self.refused_rows)


def import_workbook(
    path: Path,
    store: Members | None,
    *,
    errors_file: Path,
    dry_run: bool = False,
    progress: Progress = lambda _done, _total: None,
    by: Access | None = None,
    version: str = "",
) -> Report:
    """Bring the members of a workbook into the store, where they wait for a request.

    ``by``: whoever imports them, for the records; ``version``: of the text that they agreed to.

    A dry run writes nothing; without a store it cannot say what would change. Raises BadWorkbook
    before anything is written, StoreUnavailable (what was written before it stays: run it again) and
    CannotWrite.
    """
    report = _Import(
        read_workbook(path), store, dry_run=dry_run, progress=progress, noted=(by, version)
    ).run()
    if report.refused and not dry_run:
        write_errors(errors_file, report.headers, report.refused_rows)
        report.errors_file = errors_file
    return report


class _Import:
    def __init__(
        self,
        workbook: Workbook,
        store: Members | None,
        *,
        dry_run: bool,
        progress: Progress,
        noted: tuple[Access | None, str],
    ) -> None:
        self._workbook, self._store = workbook, store
        self._dry_run, self._progress, self._noted = dry_run, progress, noted
        self._report = Report(workbook.sheet, workbook.headers, workbook.columns, workbook.other_sheets)
        self._twins: dict[str, Entry] = {}

    def run(self) -> Report:
        self._report.warnings += self._workbook.warnings
        batch: list[tuple[Entry, NewMember]] = []
        for entry, member in self._valid_entries():
            batch.append((entry, member))
            if len(batch) == BATCH:
                self._write(batch)
                batch = []
        self._write(batch)
        return self._report

    def _valid_entries(self) -> Iterator[tuple[Entry, NewMember]]:
        workbook = self._workbook
        joined: list[int] = []
        shown: list[int] = []
        for entry in entries_of(workbook.rows, workbook.columns, workbook.merged):
            self._report.rows += len(entry.rows)
            try:
                member, shows_another = member_of(entry, workbook.columns)
            except MemberRefused as refused:
                self._refuse(entry, refused)
                continue
            self._check_twin(entry)
            shown += shows_another
            joined += [row.number for row in entry.rows if len(entry.rows) > 1]
            yield entry, member
        self._warn_of_rows(joined, "of members who stand in several rows; their photos were put together")
        self._warn_of_rows(shown, "show another address than they lead to; where they lead was taken")

    def _warn_of_rows(self, numbers: list[int], what: str) -> None:
        if numbers:
            self._report.warnings.append(f"Rows {what}: {listed(numbers)}")

    def _check_twin(self, entry: Entry) -> None:
        """IDs that differ only in case, or in zeros that Excel may have dropped, are two members."""
        twin = self._twins.setdefault(entry.member_id.casefold().lstrip("0"), entry)
        if twin is not entry:
            self._report.warnings.append(
                f"Rows {twin.rows[0].number} and {entry.rows[0].number}: {twin.member_id} and "
                f"{entry.member_id} differ only in case or zeros in front; they are taken as two members"
            )

    def _refuse(self, entry: Entry, refused: MemberRefused) -> None:
        for row in entry.rows:
            cells = returned(row, self._workbook.columns)
            reason = refused.reasons[row.number]
            self._report.refused_rows.append(RefusedRow(row.number, cells, reason, row.formats))

    def _write(self, batch: Sequence[tuple[Entry, NewMember]]) -> None:
        if batch and self._store is not None:
            self._note(batch, self._changes(self._store, [member for _, member in batch]))
        self._progress(self._report.rows, len(self._workbook.rows))

    def _changes(self, store: Members, members: Sequence[NewMember]) -> list[Change | str]:
        if self._dry_run:
            gone = store.forgotten([new.member_id for new in members])
            return [
                Change.FORGOTTEN if new.member_id in gone else _would_be(store.find(new.member_id), new)
                for new in members
            ]
        try:
            return [*store.import_list(members, utc_now(), *self._noted)]
        except StoreRefused:
            return [_alone(store, member, *self._noted) for member in members]

    def _note(self, batch: Sequence[tuple[Entry, NewMember]], changes: Sequence[Change | str]) -> None:
        for (entry, _), change in zip(batch, changes, strict=True):
            if isinstance(change, Change):
                self._report.changes[change] += 1
            else:
                self._refuse(entry, entry.refused(change))
            if change is Change.FORGOTTEN:
                self._refuse(entry, entry.refused(_FORGOTTEN))


def _alone(store: Members, member: NewMember, by: Access | None, version: str) -> Change | str:
    """One by one where a batch was refused: the one that is at fault must not stop the others."""
    try:
        return store.import_list([member], utc_now(), by, version)[0]
    except StoreRefused as error:
        return f"데이터베이스가 받지 않았습니다 ({error})"


def _would_be(known: MemberRecord | None, new: NewMember) -> Change:
    if known is None:
        return Change.CREATED
    same = new.is_known(known.declared_gender, known.selfie_url, known.photo_urls, known.status)
    same_consent = new.training_consent in (None, known.training_consent)
    return Change.UNCHANGED if same and same_consent else Change.CHANGED
