"""Log lines: what they hold in both forms, what is cut out of them, whose job they name in which thread."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.bundle import ROOT
from worker import logs
from worker.logs.forms import FORMS


def line(form: str, message: str, *args: object, **attributes: Any) -> str:
    """What a record becomes."""
    record = logging.LogRecord(
        "worker.x", logging.INFO, "x.py", 1, message, args, attributes.pop("exc", None)
    )
    record.__dict__.update(attributes)
    return FORMS[form]().format(record)


def as_json(message: str, *args: object, **attributes: Any) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(line("json", message, *args, **attributes))
    return parsed


@pytest.fixture(autouse=True)
def _no_job() -> None:
    logs.forget()


def test_a_json_line_has_time_level_logger_message_and_the_job() -> None:
    with logs.about("r1", "m1", "verify"):
        found = as_json("stored %d", 3)
    assert found.pop("time").endswith("Z")
    assert found.pop("process") == os.getpid()
    assert found == {
        "level": "INFO",
        "logger": "worker.x",
        "job": "r1",
        "member": "m1",
        "queue": "verify",
        "message": "stored 3",
    }


def test_a_message_of_several_lines_and_of_any_signs_is_one_line() -> None:
    text = 'two\nlines, "quotes", 한글 and a lone \udc80 surrogate'
    assert "\n" not in line("json", text)
    assert as_json(text)["message"] == text


def test_model_and_stages_are_kept_and_extras_of_other_programs_are_not() -> None:
    found = as_json("x", model="head-1", stages={"decode": 0.1}, data={"args": ["https://a/b?sig=1"]})
    assert found["model"] == "head-1"
    assert found["stages"] == {"decode": 0.1}
    assert "data" not in found


def test_an_exception_is_one_field() -> None:
    error = ValueError("no: https://cdn.example.com/a.jpg?sig=s3cret")
    with pytest.raises(ValueError, match="no") as raised:
        raise error
    found = as_json("failed", exc=(raised.type, raised.value, raised.tb))
    assert found["exception"].startswith("Traceback")
    assert "https://cdn.example.com/a.jpg?…" in found["exception"]
    assert "s3cret" not in json.dumps(found)


def test_the_plain_form_names_request_and_member_and_a_dash_where_there_is_none() -> None:
    assert "worker.x [-] hello" in line("plain", "hello")
    with logs.about("r1", "m1", "verify"):
        assert "worker.x [r1 m1] hello" in line("plain", "hello")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("got https://h.example/p/a.jpg?X-Sig=s3cret&e=1, so", "got https://h.example/p/a.jpg?… so"),
        ("'https://h.example/a?s3cret'", "'https://h.example/a?…'"),
        ("https://h.example/a#s3cret", "https://h.example/a?…"),
        ("exceeded with url: /a.jpg?token=s3cret (Caused", "exceeded with url: /a.jpg?… (Caused"),
        ("redis://:s3cret@h:6379/0 and", "redis://…@h:6379/0 and"),
        ("mysql+pymysql://u:s3cret@h/db", "mysql+pymysql://…@h/db"),
    ],
)
def test_no_query_and_no_password_of_an_address_is_written(form: str, said: str, kept: str) -> None:
    written = line(form, said)
    assert kept in written
    assert "s3cret" not in written


@pytest.mark.parametrize("said", ["why? because=of that", "is it so?", "a#b", "50 % of a?b", "r1 m1@home"])
def test_other_texts_stay_as_they_are(said: str) -> None:
    assert logs.redacted(said) == said


def test_a_call_in_another_thread_is_about_the_job_of_the_thread_that_asked_for_it() -> None:
    with ThreadPoolExecutor(1) as pool:
        with logs.about("r1", "m1"):
            first = pool.submit(logs.in_context(logs.current))
        with logs.about("r2", "m2"):
            second = pool.submit(logs.in_context(logs.current))
        third = pool.submit(logs.current)
    assert [found.result().get("job") for found in (first, second, third)] == ["r1", "r2", None]


def test_after_an_error_lines_are_about_its_job_until_the_task_ends() -> None:
    with pytest.raises(ValueError, match="no"), logs.about("r1", "m1"):
        raise ValueError("no")
    assert logs.current()["job"] == "r1"
    logs.forget()
    assert not logs.current()


PROGRAM = """
import os, sys
from worker import logs
logs.capture("INFO")
if child := os.fork():
    os.waitpid(child, 0)
else:
    with logs.about("r1", "m1"):
        os.write(2, b"half of a line, ")
        os.write(2, b"the other half\\nI0000 harmless\\n")
        os._exit(0)
os.write(1, b"\\x1enot a job\\n" + b"x" * 40_000)
raise RuntimeError("the end")
"""


def test_what_a_process_and_its_children_print_is_read_to_the_end() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False
    )
    lines = [json.loads(text) for text in done.stderr.splitlines()]
    assert not done.stdout
    assert [(one["level"], one.get("job"), one["message"]) for one in lines if one.get("job")] == [
        ("WARNING", "r1", "half of a line, the other half"),
        ("INFO", "r1", "I0000 harmless"),
    ]
    assert sum(one["message"].count("x") for one in lines if set(one["message"]) == {"x"}) == 40_000
    (last,) = [one for one in lines if one["level"] == "CRITICAL"]
    assert last["exception"].endswith("RuntimeError: the end")
