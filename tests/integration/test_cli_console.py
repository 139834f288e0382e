"""`python -m worker console add | list | reset | close`."""

from __future__ import annotations

import re

from integration.conftest import Cli

from support.jobs import NOW
from support.staff import DESK, PASSWORD, answered, with_cheap_hashes
from worker.clock import utc_now
from worker.store import Store
from worker.store.staff.accounts import Invitation
from worker.store.staff.sign_in import Refused


def test_the_first_admin_is_added_with_a_command_and_answers_the_invitation(here: Cli, store: Store) -> None:
    store = with_cheap_hashes(store)
    done = here("console", "add", "Kim", "--role", "admin", OPERATOR="root")
    link = re.search(r"http://127\.0\.0\.1:8300/enrol#([\w-]{32})\n", done.stdout)
    assert link, done.output
    kim = answered(store, Invitation("Kim", link[1], NOW), utc_now())
    assert store.staff.sessions.person_of(kim.token, utc_now())
    listed = here("console", "list").stdout
    assert re.search(r"Kim +│ admin +│ active +│ 20\d\d-", listed)


def test_a_reset_and_a_close_by_a_command(here: Cli, store: Store) -> None:
    store = with_cheap_hashes(store)
    here("console", "add", "Kim", "--role", "admin", "--role", "auditor", OPERATOR="root")
    kim = store.staff.accounts.find("Kim")
    assert kim
    assert "/enrol#" in here("console", "reset", "kim", "--note", "lost phone").stdout
    refused = here("console", "close", "Kim")
    assert (refused.exit_code, "last admin" in refused.stderr) == (1, True)
    here("console", "add", "Lee", "--role", "admin")
    assert "closed" in here("console", "close", "Kim").stdout
    assert store.staff.sign_in.password("Kim", PASSWORD, DESK, utc_now()) == Refused()
    assert here("console", "close", "Kim").exit_code == 1
    notes = [row.note for row in store.staff.accounts.history(kim) if row.note]
    assert notes == ["lost phone"]
