"""What the promotion gate found, as rows for people: figures of both heads, the interval and its limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_BOTH: Final = frozenset({"champion", "challenger", "low95", "high95"})
_SHARES: Final = frozenset({"wrong_approvals", "wrong_approvals_95"})
_WIDTH: Final = 100.0


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of champion and challenger, as shares (0..1); less is better."""

    check: str
    group: str
    champion: float
    challenger: float
    low: float
    high: float
    """The interval of the difference, with 95 % confidence."""
    limit: float
    """The end of the interval, or of a rate the challenger's own, must stay below."""
    is_rate: bool
    """Whether ``limit`` is one of the challenger's own rate."""

    @property
    def passed(self) -> bool:
        """As the gate judges it. (Of a rate that the champion exceeds, too, it looks at the interval.)"""
        if not self.is_rate:
            return self.high < self.limit
        return self.challenger <= self.limit or (self.group != "all" and self.high <= self.limit)

    def at(self, share: float) -> float:
        """Where a difference lies in a drawing of 100 units; no difference is in the middle."""
        widest = max(abs(self.low), abs(self.high), self.limit, 1e-9) * 1.1
        return round(_WIDTH / 2 * (1 + max(-1.0, min(1.0, share / widest))), 2)


@dataclass(frozen=True, slots=True)
class Gate:
    """The gate's answer."""

    passed: bool
    reasons: Sequence[str]
    compared: Sequence[Compared]
    left_out: Sequence[tuple[str, str, str]]
    """Check, group and why nothing was compared."""
    facts: Sequence[tuple[str, str, float | int]]
    """Check, name and number of what is not compared."""


def gate_of(report: Mapping[str, Any] | None) -> Gate | None:
    """None of a run that came to no gate."""
    gate = (report or {}).get("gate")
    if not isinstance(gate, Mapping):
        return None
    figures = gate.get("figures")
    checks = {name: part for name, part in (figures or {}).items() if isinstance(part, Mapping)}
    lines = [line for check, part in checks.items() for line in _lines(check, "", part)]
    return Gate(
        passed=bool(gate.get("passed")),
        reasons=tuple(map(str, gate.get("reasons") or ())),
        compared=[line for line in lines if isinstance(line, Compared)],
        left_out=[line for line in lines if isinstance(line, tuple) and isinstance(line[2], str)],
        facts=[line for line in lines if isinstance(line, tuple) and not isinstance(line[2], str)],
    )


def facts_of(report: Mapping[str, Any] | None) -> list[tuple[str, list[tuple[str, str]]]]:
    """What else a report says, but for the gate: parts, with their names and numbers in words."""
    parts = {name: part for name, part in (report or {}).items() if name != "gate"}
    grouped = {name: part for name, part in parts.items() if isinstance(part, Mapping)}
    alone = {name: part for name, part in parts.items() if name not in grouped}
    if alone:
        grouped["others"] = alone
    return [
        (name, [(key, _shown(key, value)) for key, value in part.items()]) for name, part in grouped.items()
    ]


def _shown(name: str, value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{100 * value:.2f} %" if name in _SHARES else f"{value:.4g}"
    if isinstance(value, list | tuple):
        return " … ".join(_shown(name, one) for one in value) or "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_shown(key, one)}" for key, one in value.items()) or "–"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _lines(check: str, name: str, part: Mapping[str, Any]) -> Iterator[Compared | tuple[str, str, Any]]:
    if part.keys() >= _BOTH:
        yield _compared(check, name, part)
        return
    for key, value in part.items():
        below = f"{name} {key}".strip()
        if isinstance(value, Mapping):
            yield from _lines(check, below, value)
        elif isinstance(value, str | int | float):
            yield check, below, value


def _compared(check: str, name: str, part: Mapping[str, Any]) -> Compared:
    is_rate = "margin" not in part
    limit = part.get("limit", 0.0) if is_rate else part["margin"]
    both = (float(part["champion"]), float(part["challenger"]))
    return Compared(check, name, *both, float(part["low95"]), float(part["high95"]), float(limit), is_rate)
