"""What native libraries write to standard error is held back; nothing else is lost."""

from __future__ import annotations

import subprocess
import sys

from support.bundle import ROOT

FILTERED = """
import os
from pipeline.stderr import XNNPACK_NOTE, silent, without_litert_notes, without_xnnpack_note

def native(text):
    os.write(2, text)  # past sys.stderr, as a library does
"""


def stderr_of(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", FILTERED + code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stderr


def test_the_note_of_litert_is_dropped_and_every_other_line_stays_in_its_place() -> None:
    code = """
native(b"before\\n")
with without_xnnpack_note():
    native(b"one\\n" + XNNPACK_NOTE + b"two\\n")
native(b"after\\n")
"""
    assert stderr_of(code) == "before\none\ntwo\nafter\n"


def test_what_litert_writes_about_accelerators_is_dropped_and_its_errors_stay() -> None:
    code = """
with without_litert_notes():
    native(b"INFO: [environment.cc:36] Creating LiteRT environment with options\\n" + XNNPACK_NOTE)
    native(b"ERROR: tflite/delegates/xnnpack/weight_cache.cc:520: incompatible header version\\n")
    native(b"WARNING: [gpu_registry.cc:160] GPU accelerator could not be loaded and registered.\\n")
    native(b"WARNING: Cache file is stale.\\n")
"""
    assert stderr_of(code).splitlines() == [
        "ERROR: tflite/delegates/xnnpack/weight_cache.cc:520: incompatible header version",
        "WARNING: Cache file is stale.",
    ]


def test_after_an_error_everything_is_shown() -> None:
    code = """
with silent():
    native(b"the reason\\n")
    raise SystemExit(1)
"""
    assert stderr_of(code) == "the reason\n"


def test_blocks_lie_within_each_other() -> None:
    code = """
with silent():
    with without_xnnpack_note():
        native(b"pages\\n")
native(b"after\\n")
"""
    assert stderr_of(code) == "after\n"


def test_two_threads_do_not_take_standard_error_away_from_each_other() -> None:
    code = """
from threading import Thread

def often():
    for _ in range(200):
        with without_xnnpack_note():
            native(XNNPACK_NOTE)

threads = [Thread(target=often) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
native(b"after\\n")
"""
    assert stderr_of(code) == "after\n"


def test_a_process_without_standard_error_opens_files_as_ever() -> None:
    code = "import sys; from pipeline.stderr import silent\nwith silent(): print(open('LICENSE').read(3))"
    closed = ["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, code]
    assert subprocess.run(closed, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout == "MIT\n"
