"""People of the console in the database: invitations, signing in, sessions, roles and their history."""

from __future__ import annotations

from datetime import timedelta

import pyotp
import pytest
import sqlalchemy as sa

from support.jobs import NOW
from support.staff import (
    DESK,
    ELSEWHERE,
    PASSWORD,
    answered,
    enrolled,
    invited,
    minutes,
    sign_in,
    signed_in,
    with_cheap_hashes,
)
from worker.errors import LastAdmin, NotPossible, Undecipherable, WeakPassword
from worker.settings import load_settings
from worker.store import Store
from worker.store.encryption import Cipher
from worker.store.staff.attempts import LONGEST_WAIT
from worker.store.staff.enrolment import Enrolled
from worker.store.staff.passwords import Passwords, check_password
from worker.store.staff.records import Browser
from worker.store.staff.sign_in import Passed, Refused
from worker.store.staff.staff import Staff
from worker.store.tables.schema import tables
from worker.store.tables.states import Role, StaffAction
from worker.verification.maintenance import purge_old


@pytest.fixture
def store(store: Store) -> Store:
    """With passwords that take no time."""
    return with_cheap_hashes(store)


ADMIN, REVIEWER, CHECKER = Role.ADMIN, Role.REVIEWER, Role.CHECKER


def records(store: Store) -> list[tuple[str, str, str | None]]:
    """Who signed in how and from where, in order."""
    log = tables().access_log
    query = sa.select(log.c.looked_by, log.c.way, log.c.client).where(log.c.action == "sign_in")
    return [tuple(row) for row in store.database.read(lambda c: c.execute(query.order_by(log.c.id)).all())]


def stored(store: Store) -> str:
    """Everything in the tables of the staff, as text."""
    t = tables().staff
    return store.database.read(
        lambda c: repr([c.execute(sa.select(one)).all() for one in (t.account, t.session, t.attempt)])
    )


def test_an_invitation_is_good_once_and_for_24_hours(store: Store) -> None:
    first, late = invited(store, "Kim", ADMIN), invited(store, "Lee")
    kim = answered(store, first)
    assert store.staff.enrolment.begin(first.code, DESK, minutes(1)) == Refused()
    assert store.staff.enrolment.begin(late.code, DESK, minutes(24 * 60)) == Refused()
    person = store.staff.sessions.person_of(kim.token, minutes(1))
    assert person is not None
    assert (person.name, person.roles) == ("Kim", frozenset({ADMIN}))


def test_of_two_who_answer_one_invitation_the_second_is_refused(store: Store) -> None:
    code = invited(store).code
    first, second = (store.staff.enrolment.begin(code, DESK, NOW) for _ in range(2))
    assert isinstance(first, Passed)
    assert isinstance(second, Passed)
    late = store.staff.sessions.newcomer_of(second.token, NOW)
    early = store.staff.sessions.newcomer_of(first.token, NOW)
    assert late
    assert early
    secret = store.staff.enrolment.secret(early)
    done = store.staff.enrolment.finish(early, PASSWORD, pyotp.TOTP(secret).at(NOW), DESK, NOW)
    assert isinstance(done, Enrolled)
    assert store.staff.sessions.newcomer_of(second.token, NOW) is None
    assert store.staff.enrolment.finish(late, PASSWORD, "123456", DESK, NOW) == Refused()


def test_no_password_token_secret_or_tried_name_is_in_the_database(store: Store) -> None:
    kim = enrolled(store)
    done = sign_in(store, kim, minutes(2))
    assert isinstance(done, Passed)
    store.staff.sign_in.password("a-secret-typed-as-a-name", "x", DESK, minutes(2))
    kept = stored(store) + repr(records(store))
    for secret in (
        PASSWORD,
        kim.token,
        done.token,
        kim.secret,
        *kim.recovery,
        "a-secret-typed",
        DESK.address,
    ):
        assert str(secret) not in kept.replace("'10.0.0.5', 'Firefox'", "").replace("'10.0.0.5')", "")


def test_whoever_signs_in_needs_the_password_and_the_code(store: Store) -> None:
    kim = enrolled(store)
    assert store.staff.sign_in.password("Kim", "wrong password", DESK, minutes(1)) == Refused()
    assert store.staff.sign_in.password("Nobody", PASSWORD, DESK, minutes(1)) == Refused()
    assert sign_in(store, kim, minutes(1), code="000000") == Refused()
    done = sign_in(store, kim, minutes(2))
    assert isinstance(done, Passed)
    assert [row[:2] for row in records(store)] == [
        *(("Kim", "enrolled"), ("Kim", "refused"), ("unknown", "refused")),
        *(("Kim", "refused"), ("Kim", "code")),
    ]
    assert {row[2] for row in records(store)} == {DESK.address}


def test_a_name_is_one_whatever_its_letters_are(store: Store) -> None:
    kim = enrolled(store, "김가을")
    decomposed = "\u1100\u1175\u11b7\u1100\u1161\u110b\u1173\u11af"
    assert isinstance(store.staff.sign_in.password(decomposed, PASSWORD, DESK, minutes(1)), Passed)
    with pytest.raises(NotPossible, match="already"):
        invited(store, decomposed)
    assert store.staff.accounts.find(" 김가을 ") == kim.account_id


def test_a_code_is_accepted_once_and_one_step_early_or_late(store: Store) -> None:
    kim = enrolled(store)
    assert sign_in(store, kim, minutes(2), code=kim.code(minutes(1.4))) == Refused()
    assert isinstance(sign_in(store, kim, minutes(2), code=kim.code(minutes(1.5))), Passed)
    assert sign_in(store, kim, minutes(2), code=kim.code(minutes(1.5))) == Refused()  # replayed
    assert isinstance(sign_in(store, kim, minutes(2), code=kim.code(minutes(2.5))), Passed)
    assert sign_in(store, kim, minutes(2), code=kim.code(minutes(2))) == Refused()  # older than the last


def test_a_recovery_code_works_once_however_it_is_typed(store: Store) -> None:
    kim = enrolled(store)
    typed = kim.recovery[3].lower().replace("-", " ")
    assert isinstance(sign_in(store, kim, minutes(1), code=typed), Passed)
    assert sign_in(store, kim, minutes(2), code=kim.recovery[3]) == Refused()
    _, person = signed_in(store, kim, minutes(3))
    assert store.staff.profile.recovery_left(person) == 9


def test_the_token_changes_with_each_step(store: Store) -> None:
    kim = enrolled(store)
    half = store.staff.sign_in.password("kim", PASSWORD, DESK, minutes(2))
    assert isinstance(half, Passed)
    assert store.staff.sessions.person_of(half.token, minutes(2)) is None
    newcomer = store.staff.sessions.newcomer_of(half.token, minutes(2))
    assert newcomer
    whole = store.staff.sign_in.code(newcomer, kim.code(minutes(2)), DESK, minutes(2))
    assert isinstance(whole, Passed)
    assert whole.token != half.token
    assert store.staff.sessions.newcomer_of(half.token, minutes(2)) is None


def test_a_session_ends_after_a_quarter_of_an_hour_without_a_page_and_after_twelve_hours(
    store: Store,
) -> None:
    kim = enrolled(store)
    idle, _ = signed_in(store, kim, minutes(2))
    assert store.staff.sessions.person_of(idle, minutes(16.9))
    assert store.staff.sessions.person_of(idle, minutes(31.8))
    assert store.staff.sessions.person_of(idle, minutes(47)) is None
    busy, _ = signed_in(store, kim, minutes(100))
    for at in range(100, 820, 14):
        assert store.staff.sessions.person_of(busy, minutes(at)), at
    assert store.staff.sessions.person_of(busy, minutes(820)) is None


def test_who_asks_for_a_page_and_what_they_may_do_is_found_in_one_statement(store: Store) -> None:
    kim = enrolled(store, "Kim", REVIEWER, CHECKER)
    store.staff.accounts.set_roles(kim.account_id, [CHECKER, ADMIN], "root", minutes(1))
    token, _ = signed_in(store, kim, minutes(2))
    asked: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        person = store.staff.sessions.person_of(token, minutes(2))
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    assert person is not None
    assert person.roles == {CHECKER, ADMIN}
    assert len([one for one in asked if one.startswith("SELECT")]) == 1, asked


def test_somebody_without_a_role_is_signed_in_all_the_same(store: Store) -> None:
    token, person = signed_in(store, enrolled(store), minutes(2))
    assert person.roles == frozenset()
    assert store.staff.sessions.person_of(token, minutes(2)) == person


def test_one_click_ends_all_sessions_of_an_account_and_none_of_others(store: Store) -> None:
    kim, lee = enrolled(store, "Kim"), enrolled(store, "Lee")
    tokens = [kim.token, signed_in(store, kim, minutes(2))[0]]
    assert len(store.staff.sessions.of(kim.account_id, minutes(2))) == 2
    assert store.staff.sessions.end_all(kim.account_id) == 2
    assert [store.staff.sessions.person_of(token, minutes(2)) for token in tokens] == [None, None]
    [other] = store.staff.sessions.of(lee.account_id, minutes(2))
    assert not store.staff.sessions.sign_out(kim.account_id, other.session_id)
    assert store.staff.sessions.person_of(lee.token, minutes(2))


def test_guessing_is_slowed_down_and_the_wait_has_an_end(store: Store) -> None:
    kim = enrolled(store)
    guess = store.staff.sign_in.password
    for _ in range(5):
        assert guess("Kim", "wrong password", ELSEWHERE, minutes(1)) == Refused()
    assert guess("Kim", PASSWORD, ELSEWHERE, minutes(1)) == Refused(timedelta(seconds=30))
    assert guess("nobody", "x", ELSEWHERE, minutes(1)) == Refused()  # another name, the same address
    at, waits = minutes(1), []
    for _ in range(12):
        at += LONGEST_WAIT
        guess("Kim", "wrong password", ELSEWHERE, at)
        again = guess("Kim", PASSWORD, ELSEWHERE, at)
        assert isinstance(again, Refused)
        waits.append(again.wait)
    assert waits[-1] == LONGEST_WAIT
    assert isinstance(sign_in(store, kim, at + LONGEST_WAIT), Passed)  # elsewhere than the guesser
    assert isinstance(sign_in(store, kim, at + 2 * LONGEST_WAIT, ELSEWHERE), Passed)


def test_a_right_password_does_not_free_the_codes_to_be_guessed(store: Store) -> None:
    kim = enrolled(store)
    at, looked_at = minutes(1), 0
    for _ in range(40):
        at += timedelta(minutes=1)
        refused = sign_in(store, kim, at, ELSEWHERE, code="000000")
        looked_at += isinstance(refused, Refused) and not refused.wait
    assert looked_at < 12


def test_an_account_that_is_attacked_from_many_addresses_is_open_where_it_is_used(store: Store) -> None:
    kim = enrolled(store)
    signed_in(store, kim, minutes(2))
    for number in range(25):
        store.staff.sign_in.password("Kim", "x", Browser(f"198.51.100.{number}"), minutes(3))
    new = store.staff.sign_in.password("Kim", PASSWORD, Browser("198.51.100.99"), minutes(3))
    assert isinstance(new, Refused)
    assert new.wait
    assert isinstance(sign_in(store, kim, minutes(5)), Passed)


def test_a_colleague_at_the_same_address_keeps_nobody_out_who_works_there(store: Store) -> None:
    kim = enrolled(store)
    signed_in(store, kim, minutes(2))
    guess = store.staff.sign_in.password
    for number in range(40):
        guess(f"name-{number}", "x", DESK, minutes(3))
    new = guess("nobody", "x", DESK, minutes(3))
    assert isinstance(new, Refused)
    assert new.wait
    assert isinstance(sign_in(store, kim, minutes(5)), Passed)


def test_an_address_that_tries_many_names_waits_and_a_whole_network_of_ipv6_is_one(store: Store) -> None:
    for number in range(30):
        store.staff.sign_in.password(f"name-{number}", "x", Browser(f"2001:db8::{number:x}"), NOW)
    refused = store.staff.sign_in.password("another", "x", Browser("2001:db8::ffff"), NOW)
    assert isinstance(refused, Refused)
    assert refused.wait
    assert store.staff.sign_in.password("another", "x", Browser("2001:db8:0:1::1"), NOW) == Refused()


def test_codes_are_guessed_no_faster_than_passwords(store: Store) -> None:
    kim = enrolled(store)
    waits = [sign_in(store, kim, minutes(2), ELSEWHERE, code="000000") for _ in range(6)]
    assert any(isinstance(one, Refused) and one.wait for one in waits)


@pytest.mark.parametrize(
    ("password", "code"),
    [
        *(("short-one", "short"), ("x" * 201, "long"), ("1234567890", "common"), ("Password123", "common")),
        *(("aaaaaaaaaaaaaa", "common"), ("my name is KIMJIN!", "name")),
    ],
)
def test_a_weak_password_is_refused(password: str, code: str) -> None:
    with pytest.raises(WeakPassword) as refused:
        check_password(password, "kimjin")
    assert refused.value.code == code


def test_a_password_needs_no_digits_and_signs() -> None:
    check_password("가나다라 마바사아 자차", "kim")
    check_password("only small letters", "kim")


def test_a_password_is_hashed_anew_when_the_parameters_change(store: Store) -> None:
    kim = enrolled(store)
    password = sa.select(tables().staff.account.c.password)
    before = store.database.read(lambda c: c.scalar(password))
    store.staff = Staff(store.database, Cipher(lambda: [b"k" * 32]), store.accesses, Passwords())
    signed_in(store, kim, minutes(2))
    after = store.database.read(lambda c: c.scalar(password))
    assert before is not None
    assert after is not None
    assert (before[:17], after[:21]) == ("$argon2id$v=19$m=", "$argon2id$v=19$m=6553")
    signed_in(store, kim, minutes(4))


def test_a_changed_password_ends_the_other_sessions_and_changes_this_ones_token(store: Store) -> None:
    kim = enrolled(store)
    token, person = signed_in(store, kim, minutes(2))
    change = store.staff.profile.change_password
    assert change(person, "wrong password", "another horse battery", DESK, minutes(3)) == Refused()
    with pytest.raises(WeakPassword):
        change(person, PASSWORD, "short", DESK, minutes(3))
    done = change(person, PASSWORD, "another horse battery", DESK, minutes(3))
    assert isinstance(done, Passed)
    find = store.staff.sessions.person_of
    assert [find(one, minutes(3)) is None for one in (kim.token, token, done.token)] == [True, True, False]
    assert store.staff.sign_in.password("Kim", PASSWORD, DESK, minutes(3)) == Refused()
    assert isinstance(store.staff.sign_in.password("Kim", "another horse battery", DESK, minutes(3)), Passed)


def test_another_telephone_counts_when_it_is_proved_and_not_before(store: Store) -> None:
    kim = enrolled(store)
    _, person = signed_in(store, kim, minutes(2))
    profile = store.staff.profile
    assert profile.secret(person) is None
    assert profile.prove_factor(person, kim.code(minutes(3)), DESK, minutes(3)) == Refused()
    assert profile.new_factor(person, "wrong password", DESK, minutes(3)) == Refused()
    assert profile.new_factor(person, PASSWORD, DESK, minutes(3)) is None
    secret = profile.secret(person)
    assert secret
    assert profile.prove_factor(person, kim.code(minutes(3)), DESK, minutes(3)) == Refused()
    done = profile.prove_factor(person, pyotp.TOTP(secret).at(minutes(3)), DESK, minutes(3))
    assert isinstance(done, Passed)
    assert sign_in(store, kim, minutes(5)) == Refused()
    assert isinstance(sign_in(store, kim, minutes(5), code=pyotp.TOTP(secret).at(minutes(5))), Passed)


def test_new_recovery_codes_replace_the_old_ones(store: Store) -> None:
    kim = enrolled(store)
    _, person = signed_in(store, kim, minutes(2))
    made = store.staff.profile.new_recovery(person, PASSWORD, DESK, minutes(3))
    assert isinstance(made, Enrolled)
    assert sign_in(store, kim, minutes(4), code=kim.recovery[0]) == Refused()
    assert isinstance(sign_in(store, kim, minutes(4), code=made.recovery[0]), Passed)


def test_roles_are_given_and_taken_on_record_and_that_ends_the_sessions(store: Store) -> None:
    kim = enrolled(store, "Kim", REVIEWER)
    assert store.staff.accounts.set_roles(kim.account_id, {CHECKER}, "boss", minutes(1), "promoted")
    assert store.staff.sessions.person_of(kim.token, minutes(1)) is None
    assert not store.staff.accounts.set_roles(kim.account_id, {CHECKER}, "boss", minutes(2))
    _, person = signed_in(store, kim, minutes(2))
    assert person.roles == {CHECKER}
    rows = store.staff.accounts.history(kim.account_id)
    assert [(row.action, row.role, row.changed_by, row.note) for row in rows] == [
        (StaffAction.TAKEN, REVIEWER, "boss", "promoted"),
        (StaffAction.GIVEN, CHECKER, "boss", "promoted"),
        (StaffAction.GIVEN, REVIEWER, "root", None),
        (StaffAction.INVITED, None, "root", None),
    ]


def test_the_last_admin_keeps_the_role_and_the_account(store: Store) -> None:
    kim = enrolled(store, "Kim", ADMIN)
    lee = invited(store, "Lee", ADMIN)  # who has never signed in
    accounts = store.staff.accounts
    with pytest.raises(LastAdmin):
        accounts.set_roles(kim.account_id, {REVIEWER}, "Kim", NOW)
    with pytest.raises(LastAdmin):
        accounts.close(kim.account_id, "Kim", NOW)
    answered(store, lee)
    accounts.close(kim.account_id, "Lee", NOW)
    with pytest.raises(LastAdmin):
        accounts.close(accounts.find("Lee") or 0, "Lee", NOW)


def test_a_closed_account_cannot_sign_in_and_its_name_is_nobody_elses(store: Store) -> None:
    kim = enrolled(store, "Kim", REVIEWER)
    store.staff.accounts.close(kim.account_id, "boss", minutes(1), "left")
    assert store.staff.sessions.person_of(kim.token, minutes(1)) is None
    assert store.staff.sign_in.password("Kim", PASSWORD, DESK, minutes(2)) == Refused()
    assert store.staff.sign_in.trusted("Kim", DESK, minutes(2)) == Refused()
    [record] = store.staff.accounts.all(minutes(2))
    assert (record.roles, record.closed_at, record.signed_in_at) == (frozenset(), minutes(1), None)
    with pytest.raises(NotPossible, match="another account's"):
        invited(store, "kim")
    with pytest.raises(NotPossible, match="closed"):
        store.staff.accounts.set_roles(kim.account_id, {ADMIN}, "boss", minutes(3))


def test_a_reset_makes_the_old_password_void_and_invites_anew(store: Store) -> None:
    kim = enrolled(store, "Kim", REVIEWER)
    again = store.staff.accounts.reset(kim.account_id, "boss", minutes(1), "lost telephone")
    assert store.staff.sessions.person_of(kim.token, minutes(1)) is None
    assert store.staff.sign_in.password("Kim", PASSWORD, DESK, minutes(1)) == Refused()
    assert isinstance(sign_in(store, answered(store, again, minutes(2)), minutes(4)), Passed)


def test_what_was_begun_before_a_reset_cannot_be_finished_after_it(store: Store) -> None:
    kim = enrolled(store, "Kim", REVIEWER)
    half = store.staff.sign_in.password("Kim", PASSWORD, DESK, minutes(2))
    assert isinstance(half, Passed)
    newcomer = store.staff.sessions.newcomer_of(half.token, minutes(2))
    person = store.staff.sessions.person_of(kim.token, minutes(2))
    assert newcomer
    assert person
    store.staff.accounts.reset(kim.account_id, "boss", minutes(2))
    assert store.staff.sign_in.code(newcomer, kim.code(minutes(2)), DESK, minutes(2)) == Refused()
    assert store.staff.profile.prove_factor(person, "123456", DESK, minutes(2)) == Refused()
    change = store.staff.profile.change_password
    assert change(person, PASSWORD, "another horse battery", DESK, minutes(2)) == Refused()
    assert store.staff.sessions.of(kim.account_id, minutes(2)) == []


def test_a_company_s_sign_on_says_who_it_is_and_the_roles_stay_ours(store: Store) -> None:
    invited(store, "Kim", REVIEWER)
    done = store.staff.sign_in.trusted("KIM", DESK, minutes(1))
    assert isinstance(done, Passed)
    person = store.staff.sessions.person_of(done.token, minutes(1))
    assert person
    assert person.roles == {REVIEWER}
    assert store.staff.sign_in.trusted("stranger", DESK, minutes(1)) == Refused()
    assert [row[:2] for row in records(store)] == [("Kim", "sign_on"), ("unknown", "refused")]


def test_without_a_key_nobody_enrols_on_a_server(engine: sa.Engine) -> None:
    store = Store(engine)
    code = invited(store).code
    with pytest.raises(NotPossible, match="VERIFY_TOMBSTONE_KEY"):
        store.staff.enrolment.begin(code, DESK, NOW)
    assert "secret" not in stored(store)


def test_a_second_factor_moved_to_another_account_is_not_accepted(store: Store) -> None:
    kim, lee = enrolled(store, "Kim"), enrolled(store, "Lee")
    account = tables().staff.account
    moved = sa.select(account.c.totp).where(account.c.id == lee.account_id)

    def move(c: sa.Connection) -> None:
        value = c.scalar(moved)
        c.execute(sa.update(account).where(account.c.id == kim.account_id).values(totp=value))

    store.database.write(move)
    with pytest.raises(Undecipherable, match="damaged"):
        sign_in(store, kim, minutes(2), code=lee.code(minutes(2)))


def test_a_closed_account_and_its_history_go_after_three_years(store: Store) -> None:
    long_ago, later = NOW - timedelta(days=3 * 366 + 1), NOW - timedelta(days=3 * 365 - 1)
    kim, lee = enrolled(store, "Kim", REVIEWER, at=long_ago), enrolled(store, "Lee", at=long_ago)
    store.staff.accounts.close(kim.account_id, "boss", long_ago)
    store.staff.accounts.close(lee.account_id, "boss", later)
    enrolled(store, "Choi", at=long_ago)
    assert purge_old(store.retention, load_settings(), NOW).staff == 1
    assert purge_old(store.retention, load_settings(), NOW).staff == 0
    assert store.staff.accounts.history(kim.account_id) == []
    assert [row.name for row in store.staff.accounts.all(NOW)] == ["Choi", "Lee"]
