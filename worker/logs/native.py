"""What a process writes to its standard output and error past `logging`, as log lines.

Native libraries (LiteRT, OpenCV, libpng, glibc when it aborts) write to the descriptor 2 of the process, and
Celery prints to both. `redirect` puts a socket there, whose other end a thread of the main process reads. The
processes of the pool inherit it: the last words of one that crashes are read by a process that lives. The
kernel says which process wrote (SO_PASSCRED), and that process says through the same socket which job it
works on.
"""

from __future__ import annotations

import atexit
import io
import json
import logging
import os
import re
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Final

NATIVE: Final = "native"
"""The logger of these lines."""
_ANNOUNCED: Final = b"\x1e"
"""The ASCII record separator, which no library writes: before a job that a process announces."""
_CREDENTIALS: Final = struct.Struct("3i")
"""Process, user and group of the sender: Linux' `struct ucred`."""
_CHUNK: Final = 65_536
_LONGEST: Final = 16_384
"""Bytes of one line."""
_HARMLESS: Final = re.compile(r"(I\d{4} |INFO\b|\[ INFO|worker: |celery beat )")
"""Begins what is no warning: glog, TensorFlow, OpenCV, Celery."""

Emit = Callable[[int, Mapping[str, str], str], None]
"""Logs a line of this process, about this job."""


@dataclass(slots=True)
class _Sender:
    """A process that writes."""

    job: Mapping[str, str] = field(default_factory=dict)
    rest: bytes = b""
    """The beginning of a line whose end has not come."""


@dataclass(slots=True)
class _Captured:
    screen: IO[str]
    """Where standard error went before."""
    writer: socket.socket


_captured: list[_Captured] = []


def screen() -> IO[str]:
    """Where log lines belong."""
    return _captured[0].screen if _captured else sys.stderr


def announce(job: Mapping[str, str]) -> None:
    """From here on this process writes about this job."""
    if _captured:
        os.write(2, _ANNOUNCED + json.dumps(dict(job)).encode() + b"\n")


def redirect() -> socket.socket | None:
    """Make standard output and error, also of the processes to be forked, the other end of this socket.

    None where that is done already, and on other systems than Linux.
    """
    if _captured or sys.platform != "linux" or sys.__stderr__ is None:
        return None
    reader, writer = socket.socketpair()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    # Without a buffer: one write for each line, and no lock that a fork could copy while it is held.
    raw = os.fdopen(os.dup(2), "wb", buffering=0)
    before = io.TextIOWrapper(raw, "utf-8", "backslashreplace", write_through=True)
    _captured.append(_Captured(before, writer))
    _replace_standard_files(writer.fileno())
    logging.raiseExceptions = False  # such an exception would be printed here, logged, and raised again
    os.register_at_fork(after_in_child=reader.close)
    return reader


def log_lines(reader: socket.socket, emit: Emit) -> None:
    """Log what comes out of the socket, until this process ends. `logging` must not write to it any more."""
    thread = threading.Thread(target=_read, args=(reader, emit), name="native-output", daemon=True)
    atexit.register(_release, os.getpid(), thread)
    thread.start()


def _replace_standard_files(to: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    for standard in (1, 2):
        os.dup2(to, standard)


def _release(owner: int, thread: threading.Thread) -> None:
    """At the end of the main process; what was written by then is read to the end."""
    if os.getpid() == owner:
        _replace_standard_files(_captured[0].screen.fileno())
        _captured[0].writer.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)


def _read(reader: socket.socket, emit: Emit) -> None:
    senders: dict[int, _Sender] = {}
    for process, data in _received(reader):
        sender = senders.setdefault(process, _Sender())
        *lines, sender.rest = (sender.rest + data).split(b"\n")
        if len(sender.rest) > _LONGEST:
            lines, sender.rest = [*lines, sender.rest], b""
        for line in lines:
            _take(line, process, sender, emit)
        if not sender.rest and not sender.job:
            del senders[process]
    for process, sender in senders.items():
        _take(sender.rest, process, sender, emit)


def _received(reader: socket.socket) -> Iterator[tuple[int, bytes]]:
    """Bytes as they come, each with the process that wrote them."""
    while True:
        data, ancillary, _, _ = reader.recvmsg(_CHUNK, socket.CMSG_SPACE(_CREDENTIALS.size))
        if not data:
            return
        yield _CREDENTIALS.unpack(ancillary[0][2])[0], data


def _take(line: bytes, process: int, sender: _Sender, emit: Emit) -> None:
    written, announced, job = line.partition(_ANNOUNCED)
    if text := written.decode(errors="backslashreplace").strip():
        emit(process, sender.job, text)
    if announced:
        with suppress(ValueError, TypeError):  # a library has written that byte after all
            sender.job = dict(json.loads(job))


def level_of(text: str) -> int:
    """INFO for what says so itself; whatever else a library writes, somebody should see."""
    return logging.INFO if _HARMLESS.match(text) else logging.WARNING
