"""A wrong setting is answered with a sentence that somebody who sets it for the first time understands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from worker.errors import BadSettings
from worker.setting_names import PREFIX
from worker.settings import Settings, load_settings

HOOKS = json.dumps(
    {"app": {"url": "https://app/hooks", "secrets": [f"whsec_{'c2VjcmV0' * 4}", "c2VjcmV0" * 4]}}
)
JARGON = re.compile(
    r"[\\^$]|\[|Input|String|pattern|pars|boolean|integer|dictionar|literal|tuple|unpack|base 10"
)
ODD = [
    *("x", "x y", "a;b", "-1", "0", "1.5", "1e999", "nan", "99999999999999999999999", "9" * 5000, ",", "a,b"),
    *("1,-1", "{", "[1]", '{"a": 1}', '{"a": null}', '{"a": [1]}', '{"a": "b c"}', '{"people": Infinity}'),
    *(
        "true",
        "null",
        "한글 이름",
        "/",
        "*",
        "http://x:y/z",
        "mysql://u@h:p/d",
        "redis://:a/b@h/0",
        "[]:x://",
    ),
    *("@daily", "61 * * * *", "0 0 31 2 *", "* * * * * *"),
]


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no .env of the machine that runs the tests."""
    monkeypatch.chdir(tmp_path)
    for field in Settings.model_fields:
        monkeypatch.delenv(f"{PREFIX}{field.upper()}", raising=False)


def said_of(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> str:
    """What is said of a value; empty where it is taken."""
    monkeypatch.setenv(PREFIX + name, value)
    try:
        load_settings()
    except BadSettings as wrong:
        return str(wrong)
    return ""


@pytest.mark.parametrize("field", Settings.model_fields)
def test_whatever_is_wrong_is_said_in_plain_words(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    said = {value: said_of(monkeypatch, field.upper(), value) for value in ODD}
    for value, text in said.items():
        assert not JARGON.search(text), (value, text)
        assert not text or f"{PREFIX}{field.upper()}" in text


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("RETRAIN_SCHEDULE", "every sunday", "five fields in UTC"),
        ("RETRAIN_SCHEDULE", "99 9 * * sun", "such as 17 19 * * sun, or never"),
        ("RETRAIN_SCHEDULE", "0 0 31 2 *", "day of the month"),
        ("MAPPED_TABLE", "tb user", "the name of a table, or database.table"),
        ("MAPPED_ID_COLUMN", "user-no", "letters, digits and underscores"),
        ("MAPPED_COLUMNS", "reason=why", "JSON object"),
        ("MAPPED_COLUMNS", '["reason"]', "JSON object"),
        ("MAPPED_COLUMNS", '{"reason": "a b"}', '"reason" must be a name of letters, digits and underscores'),
        ("MAPPED_COLUMNS", '{"reason": null}', '"reason" must be text in "quotes"'),
        ("TABLE_PREFIX", "a.b", "letters, digits and underscores"),
        ("RETRAIN_GATE", '{"people": "many"}', '"people" must be a number'),
        ("RETRAIN_PROMOTE", "always", "must be 'auto' or 'never'"),
        ("LOG_LEVEL", "LOUD", "must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("AUTO_REJECT", "perhaps", "must be true or false"),
        ("CONCURRENCY", "two", "must be a whole number"),
        ("CONCURRENCY", "0", "must be at least 1"),
        ("CONCURRENCY", "1000", "must be at most 256"),
        ("SWEEP_SECONDS", "0", "must be more than 0"),
        ("LEASE_SECONDS", "inf", "must be at most 604800"),
        ("BLIND_AUDIT_SHARE", "2 %", "must be a number"),
        ("FETCH_RETRY_SECONDS", "30, soon", "item 2 must be a number"),
        ("PHOTO_PORTS", "443, 99999", "item 2 must be at most 65535"),
        ("PHOTO_PORTS", ",", "must name at least one"),
        ("PHOTO_HOSTS", "https://cdn.example.com", "item 1 must be the name of a host, without https://"),
        ("PHOTO_HOSTS", "cdn.example.com, *", "item 2 must be the name of a host"),
        ("PHOTO_HOSTS", "cdn.example.com:8443", "without https://, port and path"),
        (
            "PHOTO_HEADERS",
            '{"https://cdn.example.com": {"A": "b"}}',
            "must be the name of a host, without https://",
        ),
        ("PHOTO_HEADERS", '{"cdn.example.com": "A: b"}', '"cdn.example.com" must be a JSON object'),
        ("PHOTO_HEADERS", '{"cdn.example.com": {"A b": "c"}}', '"A b" is no header'),
        (
            "PHOTO_HEADERS",
            '{"cdn.example.com": {"Host": "c"}}',
            '"Host" is a header that the worker sets itself',
        ),
        ("PHOTO_HEADERS", '{"cdn.example.com": {"A": "가"}}', '"A" must have a value of printable ASCII'),
        ("WEBHOOKS", "https://app/hooks", "must be a JSON object"),
        ("WEBHOOKS", '{"App 1": {}}', '"App 1" must be a name of up to 32 small letters'),
        ("WEBHOOKS", '{"stream": {}}', "and another one than stream"),
        ("WEBHOOKS", '{"app": "https://app/hooks"}', '"app" must be a JSON object'),
        ("WEBHOOKS", '{"app": {"url": "https://app/hooks"}}', '"app" "secrets" is missing'),
        ("WEBHOOKS", '{"app": {"url": "app/hooks", "secrets": []}}', '"url" must be an address such as'),
        ("WEBHOOKS", '{"app": {"secrets": []}}', '"app" "secrets" must name at least one'),
        ("WEBHOOKS", '{"app": {"secrets": "whsec_x"}}', '"app" "secrets" must be a JSON list'),
        ("WEBHOOKS", '{"app": {"secret": ""}}', '"app" "secret" is not known here'),
        ("WEBHOOKS", '{"app": {"secrets": ["whsec_c2hvcnQ="]}}', '"secrets" item 1 must be whsec_ and 24 or'),
        (
            "WEBHOOKS",
            '{"app": {"secrets": ["whsec_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_"]}}',
            "random bytes in base64",
        ),
        ("WEBHOOKS", HOOKS.replace("https", "http"), '"app" must have an address with https://'),
        ("VECTOR_KEYS", "c2hvcnQ=", "item 1 must be 32 random bytes in base64, which openssl rand"),
        ("VECTOR_KEYS", f"{'a2V5' * 10}a2U=,secret", "item 2 must be 32 random bytes"),
        ("EVENT_STREAM", "a b", "letters, digits and the signs"),
        ("EVENT_STREAM", "events", "VERIFY_EVENT_STREAM needs a Redis in VERIFY_BROKER_URL"),
        ("APP_PRIVATE_HOSTS", "app, *.internal", "item 2 must be the name of one host, without *"),
        ("APP_PRIVATE_HOSTS", "http://app", "item 1 must be the name of one host"),
        ("BROKER_URL", "localhost:6379", "must begin with redis://"),
        ("BROKER_URL", "http://redis:6379", "must begin with redis://"),
        ("BROKER_URL", "redis://a:6379/0;redis//b", "must begin with redis://"),
        ("BROKER_URL", "redis://:pass/word@redis/0", "in a password write / as %2F"),
        ("BROKER_URL", "redis://:12/word@redis/0", "in a password write / as %2F"),
        ("DATABASE_URL", "localhost", "such as mysql://user:password@host:3306/database"),
        ("DATABASE_URL", "postgresql://u:p@h/x", "must begin with mysql://"),
        ("DATABASE_URL", "mysql://u:p@h", "must end with the name of the database"),
        ("DATABASE_URL", "sqlite://", "must name a file"),
    ],
)
def test_what_is_expected_is_said(monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str) -> None:
    assert words in said_of(monkeypatch, name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RETRAIN_SCHEDULE", "never"),
        ("WEBHOOKS", HOOKS),
        ("RETRAIN_SCHEDULE", "*/30  2-5 1,15 * mon-fri"),
        ("MAPPED_TABLE", "앱.회원"),
        (
            "PHOTO_HOSTS",
            "localhost, 10.0.0.5, 2001:db8::1, *.s3.ap-northeast-2.amazonaws.com, my_cdn.example.com",
        ),
        ("BROKER_URL", "sentinel://:p%2Fw@a:26379/0;sentinel://:p%2Fw@b:26379/0"),
        ("BROKER_URL", "redis://:p@ss@redis:6379/0"),
        ("BROKER_URL", "amqps://user:password@host:5671/vhost"),
        ("DATABASE_URL", "mysql://u:p%2Fw@h:3306/d?charset=utf8mb4"),
    ],
)
def test_what_is_right_is_taken(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"{PREFIX}SENTINEL_MASTER", "mymaster")
    assert not said_of(monkeypatch, name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BROKER_URL", "redis://:hunter2/x@h/0"),
        ("BROKER_URL", "redis//:hunter2@h/0"),
        ("DATABASE_URL", "mysql://u:p@x:hunter2@h/d"),
        ("DATABASE_URL", "mysql//u:hunter2@h/d"),
        ("WEBHOOKS", '{"app": {"url": "https://a/", "secrets": ["hunter2"]}}'),
        ("WEBHOOKS", HOOKS.replace("https://app/hooks", "http://a/?hunter2")),
    ],
)
def test_a_password_in_a_wrong_address_is_never_said(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    said = said_of(monkeypatch, name, value)
    assert said
    assert "hunter2" not in said
