"""Suppress what native libraries write to standard error."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import RLock
from typing import BinaryIO, Final

XNNPACK_NOTE: Final = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"
"""The first LiteRT network of a process writes this line; its Python package has no log level
(google-ai-edge/LiteRT#7420)."""

_LITERT_NOTE: Final = re.compile(rb"^(?:INFO|WARNING): \[\w+\.cc:\d+\] .*\n", re.MULTILINE)
"""What LiteRT's environments write about the accelerators that they look for and do not find."""

_ONE_AT_A_TIME: Final = RLock()


def silent() -> AbstractContextManager[None]:
    """Drop what this process writes to standard error (TensorFlow writes pages), except after an error."""
    return filtered(lambda _: b"")


def without_xnnpack_note() -> AbstractContextManager[None]:
    """Drop `XNNPACK_NOTE` alone."""
    return filtered(lambda text: text.replace(XNNPACK_NOTE, b""))


def without_litert_notes() -> AbstractContextManager[None]:
    """Drop `XNNPACK_NOTE` and what LiteRT writes about accelerators."""
    return filtered(lambda text: _LITERT_NOTE.sub(b"", text.replace(XNNPACK_NOTE, b"")))


@contextmanager
def filtered(keep: Callable[[bytes], bytes]) -> Iterator[None]:
    """Collect what all threads of this process write to standard error, and then write what ``keep`` returns.

    After an error everything is written.
    """
    if sys.__stderr__ is None:  # the process was started without; 2 is some other file then
        yield
        return
    with _ONE_AT_A_TIME, os.fdopen(os.dup(2), "wb") as screen, _scratch() as held:
        sys.stderr.flush()
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            keep = bytes
            raise
        finally:
            sys.stderr.flush()
            os.dup2(screen.fileno(), 2)
            held.seek(0)
            screen.write(keep(held.read()))


def _scratch() -> BinaryIO:
    """In memory where the system supports it, because a container may have no folder for temporary files."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stderr"), "w+b")
    return tempfile.TemporaryFile()
