"""What the chain of the records of access says, in lines of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.store import Break, BreakKind, ChainReport

_SAYS: Final[Mapping[BreakKind, str]] = {
    BreakKind.CHANGED: "record {n} was changed, or put in",
    BreakKind.REMOVED: "records were removed, from record {n} on",
    BreakKind.ADDED: "another record stands where record {n} was",
    BreakKind.NEWEST_REMOVED: "the newest records were removed, from record {n} on",
    BreakKind.HEAD: "the end of the chain was changed, or is gone",
    BreakKind.ANCHOR: "what says up to where was purged was changed",
    BreakKind.SIGNED: "a signed month was changed, or records that it was signed over (record {n})",
}


def chain_lines(report: ChainReport) -> list[str]:
    """Whether the records hold together; if not, the first places where they do not."""
    lines = [_first_line(report)]
    lines += [f"  {_break_line(one)}" for one in report.told]
    if report.purged:
        lines.append(f"{report.purged:,} older records were purged for their age.")
    if report.unlinked:
        late = f", {report.late:,} of them after the chain began" if report.late else ""
        lines.append(
            f"{report.unlinked:,} records have no link{late}: they are of before revision 0021, or by a "
            "program of the version before. Nothing proves these."
        )
    if not report.keyed:
        lines.append(
            "There is no VERIFY_TOMBSTONE_KEY: whoever can write the table can make the chain anew, so this "
            "shows accidents only."
        )
    return lines


def _first_line(report: ChainReport) -> str:
    if report.holds:
        end = f", up to record {report.number:,} ({report.link[:16]}…)" if report.number else ""
        return f"{report.records:,} records hold together{end}."
    known = f", of which {report.signed_breaks:,} are signed" if report.signed_breaks else ""
    return f"The records do not hold together: {report.breaks:,} places{known}."


def _break_line(one: Break) -> str:
    said = _SAYS[one.kind].format(n=f"{one.number:,}")
    return (
        said if one.row is None else f"{said} (row {one.row} of access_log, {one.at:%Y-%m-%d %H:%M:%S} UTC)"
    )
