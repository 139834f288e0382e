"""Heads as rows: published as challengers, promoted, rolled back, pulled by the workers.

The champion is the row of that state; while there is none, each host serves the bundle it was
shipped with. `promoted_at` tells who was champion before: a retired head that has one was
replaced by a later one, and `rollback` goes back to the latest of them; a rolled back head has none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from worker.client.identifiers import is_identifier
from worker.errors import NotPossible
from worker.store.database import AnyRow, Database
from worker.store.models.records import (
    ANY_CHAMPION,
    HeadProblem,
    HeadsInUse,
    ModelRecord,
    PublishedHead,
    Replaced,
)
from worker.store.tables.states import ModelState

_TICK: Final = timedelta(microseconds=1)
_MAY_BE_ADDED: Final = frozenset({ModelState.CHALLENGER, ModelState.REJECTED})


class Models:
    """Versions of the head, and which of them judge."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._t = database.t

    def add(
        self,
        head: PublishedHead,
        now: datetime,
        *,
        figures: Mapping[str, Any] | None = None,
        state: ModelState = ModelState.CHALLENGER,
    ) -> ModelState:
        """Write a version down, as a challenger or as rejected at once; returns its state.

        The very same version a second time changes nothing. Raises NotPossible where the version is
        no identifier, is there with other content, or holds a number that JSON does not know.
        """
        row = row_of_model(head, now, figures, state)
        return self._db.write(lambda c: self.add_row(c, row))

    def add_row(self, c: sa.Connection, row: dict[str, Any]) -> ModelState:
        """The same within the transaction of another; ``row`` is of `row_of_model`."""
        m = self._t.model_version
        known = c.execute(
            sa.select(m.c.state, m.c.head_sha256, m.c.head, _text_of(m.c.manifest)).where(
                m.c.version == row["version"]
            )
        ).one_or_none()
        if known is None:
            c.execute(sa.insert(m).values(**row))
            return ModelState(row["state"])
        there = (known.head_sha256, known.head, _loads(known.manifest))
        if there != (row["head_sha256"], row["head"], row["manifest"]):
            raise NotPossible(f"{row['version']} stands in the database with other content")
        return ModelState(known.state)

    def sign(self, head: PublishedHead) -> None:
        """Keep the signature of a version that stands there already. Raises NotPossible."""
        self._db.write(lambda c: self._sign(c, head))

    def _sign(self, c: sa.Connection, head: PublishedHead) -> None:
        _known(self._lock_models(c), head.version)
        self._set_model(c, head.version, signature=head.signature)

    def promote(
        self, version: str, now: datetime, *, force: bool = False, over: str | None = ANY_CHAMPION
    ) -> Replaced:
        """Make a version the champion; the one before is retired and can be gone back to.

        With ``over`` only while that one is champion (None: the shipped bundle). Raises NotPossible,
        also for a rejected version, unless ``force``.
        """
        return self._db.write(lambda c: self.promote_on(c, version, over, now, force=force))

    def promote_on(
        self, c: sa.Connection, version: str, over: str | None, now: datetime, *, force: bool = False
    ) -> Replaced:
        """The same within the transaction of another."""
        rows = self._lock_models(c)
        chosen, champion = _known(rows, version), _champion(rows)
        before = champion.version if champion else None
        if over not in (ANY_CHAMPION, before):
            raise NotPossible(f"the champion is {before or 'the shipped bundle'} by now")
        if before == version:
            return Replaced(version, version)
        if chosen.state == ModelState.REJECTED and not force:
            raise NotPossible(f"{version} was rejected; --force promotes it all the same")
        if champion:
            now = max(now, champion.promoted_at + _TICK)  # clocks of two hosts differ
            self._set_model(c, champion.version, state=ModelState.RETIRED)
        self._set_model(c, version, state=ModelState.CHAMPION, promoted_at=now)
        refusal = self._t.model_refusal
        c.execute(sa.delete(refusal).where(refusal.c.version == version))
        return Replaced(version, before)

    def rollback(self, *, to: str | None = ANY_CHAMPION) -> Replaced:
        """Back to the champion before this one, at last to the shipped bundle.

        With ``to`` only if that is the one. Raises NotPossible where nothing was promoted.
        """
        return self._db.write(lambda c: self._rollback(c, to))

    def _rollback(self, c: sa.Connection, to: str | None) -> Replaced:
        rows = self._lock_models(c)
        champion, earlier = _champion(rows), _earlier(rows)
        if champion is None:
            raise NotPossible("the shipped bundle is in use: there is nothing to go back to")
        if to not in (ANY_CHAMPION, earlier):
            raise NotPossible("another version was promoted or rolled back just now: look again")
        self._set_model(c, champion.version, state=ModelState.RETIRED, promoted_at=None)
        if earlier is not None:
            self._set_model(c, earlier, state=ModelState.CHAMPION)
        return Replaced(earlier, champion.version)

    def previous_champion(self) -> str | None:
        """Where `rollback` would go back to: None for the shipped bundle."""
        return _earlier(self._db.read(lambda c: self._states(c, sa.true())))

    def set_shadow(self, version: str, *, on: bool) -> bool:
        """Let a challenger judge live requests without deciding, or no longer; False if it was so before.

        Raises NotPossible.
        """
        return self._db.write(lambda c: self._set_shadow(c, version, on=on))

    def _set_shadow(self, c: sa.Connection, version: str, *, on: bool) -> bool:
        state = ModelState(_known(self._lock_models(c), version).state)
        if state not in (ModelState.CHALLENGER, ModelState.SHADOW):
            raise NotPossible(f"only a challenger runs in shadow, and {version} is {state}")
        wanted = ModelState.SHADOW if on else ModelState.CHALLENGER
        self._set_model(c, version, state=wanted)
        return state is not wanted

    def in_use(self) -> HeadsInUse:
        """Which heads judge; one small indexed read, read before every job."""
        return self._db.ask(self.in_use_on)

    def in_use_on(self, c: sa.Connection) -> HeadsInUse:
        """The same within the transaction of another."""
        m = self._t.model_version
        rows = self._states(c, m.c.state.in_([ModelState.CHAMPION, ModelState.SHADOW]))
        champion = _champion(rows)
        shadows = tuple(sorted(v for v, row in rows.items() if row.state == ModelState.SHADOW))
        return HeadsInUse(champion.version if champion else None, shadows)

    def champion(self) -> str | None:
        """The champion's version; None while every host serves the bundle it was shipped with."""
        return self.in_use().champion

    def head(self, version: str) -> PublishedHead | None:
        """A version's head as it stands there, unchecked; None if there is no such version."""
        m = self._t.model_version
        columns = (m.c.version, _text_of(m.c.manifest), m.c.head, m.c.signature)
        query = sa.select(*columns).where(m.c.version == version)
        row = self._db.read(lambda c: c.execute(query).one_or_none()) if is_identifier(version) else None
        return (
            None if row is None else PublishedHead(row.version, row.manifest, bytes(row.head), row.signature)
        )

    def state_of(self, version: str) -> ModelState | None:
        """How a version stands; None if there is no such version."""
        m = self._t.model_version
        query = sa.select(m.c.state).where(m.c.version == version)
        state = self._db.read(lambda c: c.scalar(query)) if is_identifier(version) else None
        return None if state is None else ModelState(state)

    def manifest(self, version: str) -> str | None:
        """A version's manifest as it stands there, unchecked and without the head; None if there is none."""
        return self._db.read(lambda c: self._manifest_on(c, version)) if is_identifier(version) else None

    def _manifest_on(self, c: sa.Connection, version: str) -> str | None:
        m = self._t.model_version
        return c.scalar(sa.select(_text_of(m.c.manifest)).where(m.c.version == version))

    def calibrated_on(self, c: sa.Connection, version: str) -> Mapping[str, Any]:
        """What a manifest says of the members that set its thresholds; empty where nothing is said."""
        text = self._manifest_on(c, version)
        record = _loads(text) if text else None
        head = record.get("head") if isinstance(record, dict) else None
        facts = head.get("calibrated_on") if isinstance(head, dict) else None
        return facts if isinstance(facts, dict) else {}

    def latest(self) -> list[ModelRecord]:
        """All versions, the newest first."""
        return self._db.read(self._latest)

    def _latest(self, c: sa.Connection) -> list[ModelRecord]:
        m, s = self._t.model_version, self._t.shadow_verdict
        columns = (m.c.version, m.c.state, m.c.figures, m.c.created_at, m.c.promoted_at)
        rows = c.execute(
            sa.select(*columns, _text_of(m.c.manifest)).order_by(m.c.created_at.desc(), m.c.version)
        ).all()
        judged = sa.select(s.c.version, sa.func.count().label("n")).group_by(s.c.version)
        counts = {row.version: row.n for row in c.execute(judged)}
        refused = self.problems_on(c)
        return [
            ModelRecord(
                version=row.version,
                state=ModelState(row.state),
                calibration=_calibration(row.manifest),
                figures=row.figures,
                created_at=row.created_at,
                promoted_at=row.promoted_at,
                shadow_verdicts=counts.get(row.version, 0),
                refused=tuple(one for one in refused if one.version == row.version),
            )
            for row in rows
        ]

    def problems_on(self, c: sa.Connection) -> list[HeadProblem]:
        """What hosts could not use."""
        r = self._t.model_refusal
        return [HeadProblem(*row) for row in c.execute(sa.select(r).order_by(r.c.version, r.c.host))]

    def note_problem(self, version: str, host: str, problem: str, now: datetime) -> None:
        """A host could not use a head."""
        row = {"version": version, "host": host, "problem": problem}
        self._db.write(lambda c: self._replace_problem(c, version, host, {**row, "refused_at": now}))

    def clear_problem(self, version: str, host: str) -> None:
        """The host can use it now."""
        self._db.write(lambda c: self._replace_problem(c, version, host, None))

    def _replace_problem(
        self, c: sa.Connection, version: str, host: str, row: Mapping[str, Any] | None
    ) -> None:
        r = self._t.model_refusal
        c.execute(sa.delete(r).where(r.c.version == version, r.c.host == host))
        if row is not None:
            c.execute(sa.insert(r).values(**row))

    def _lock_models(self, c: sa.Connection) -> dict[str, AnyRow]:
        """All rows without their heads, ours alone: two promotions come one after the other."""
        return self._states(c, sa.true(), lock=True)

    def _states(
        self, c: sa.Connection, where: sa.ColumnElement[bool], *, lock: bool = False
    ) -> dict[str, AnyRow]:
        m = self._t.model_version
        query = sa.select(m.c.version, m.c.state, m.c.promoted_at).where(where).order_by(m.c.version)
        rows = c.execute(query.with_for_update() if lock else query).all()
        return {row.version: row for row in rows}

    def _set_model(self, c: sa.Connection, version: str, **values: Any) -> None:
        m = self._t.model_version
        c.execute(sa.update(m).where(m.c.version == version).values(**values))


def row_of_model(
    head: PublishedHead, now: datetime, figures: Mapping[str, Any] | None, state: ModelState
) -> dict[str, Any]:
    """The row of a version that is to be added. Raises NotPossible."""
    if not is_identifier(head.version) or state not in _MAY_BE_ADDED:
        raise NotPossible(f"{head.version!r} cannot be published as {state}")
    return {
        "version": head.version,
        "state": state,
        "manifest": _json(head.manifest, head.version),
        "head": head.data,
        "head_sha256": hashlib.sha256(head.data).hexdigest(),
        "signature": head.signature,
        "figures": None if figures is None else _json(json.dumps(figures), head.version),
        "created_at": now,
    }


def _known(rows: Mapping[str, AnyRow], version: str) -> AnyRow:
    if version not in rows:
        raise NotPossible(f"no version {version}: see `models list`")
    return rows[version]


def _champion(rows: Mapping[str, AnyRow]) -> AnyRow | None:
    return next((row for row in rows.values() if row.state == ModelState.CHAMPION), None)


def _earlier(rows: Mapping[str, AnyRow]) -> str | None:
    """The latest of those that were replaced and not rolled back."""
    replaced = [row for row in rows.values() if row.state == ModelState.RETIRED and row.promoted_at]
    return max(replaced, key=lambda row: row.promoted_at).version if replaced else None


def _text_of(manifest: sa.Column[Any]) -> sa.ColumnElement[str]:
    """As it stands there: a damaged one must not stop the reading of others."""
    return sa.type_coerce(manifest, sa.Text).label("manifest")


def _loads(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _calibration(manifest: str) -> str | None:
    record = _loads(manifest)
    head = record.get("head") if isinstance(record, dict) else None
    found = head.get("calibration") if isinstance(head, dict) else None
    return found if isinstance(found, str) else None


def _json(text: str, version: str) -> Any:
    """Databases know no `Infinity` and no `NaN`."""

    def refuse(constant: str) -> None:
        raise NotPossible(f"{version} holds the number {constant}, which no database takes as JSON")

    return json.loads(text, parse_constant=refuse)
