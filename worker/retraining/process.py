"""The training in a process of its own: TensorFlow lives there, and its memory ends with it.

The training set goes in through a pipe and the head comes out through one, so that no face lies in a file.
The process knows no password and no address, and ends when the worker does.
"""

from __future__ import annotations

import ctypes
import io
import json
import logging
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from worker.errors import TrainingDied, TrainingFailed
from worker.retraining.training_set import TrainingSet
from worker.store import PublishedHead

logger = logging.getLogger(__name__)

_ROOT: Final = Path(__file__).parents[2]
_COMMAND: Final = (sys.executable, "-m", "worker.retraining.process")
_ENVIRONMENT: Final = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "CUDA_VISIBLE_DEVICES": "-1",
}
"""One thread, as everywhere: live jobs may run on the same machine."""
_INHERITED: Final = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "VIRTUAL_ENV",
)
_PR_SET_PDEATHSIG: Final = 1
_MAX_STDERR: Final = 2000
"""Characters of the end of its standard error that are logged."""

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class TrainingInput:
    """What a training starts from."""

    training_set: TrainingSet
    champion: PublishedHead
    rules: Mapping[str, float]
    """Of the gate, where they differ from its own."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A challenger's head, whether the gate lets it pass and why not, and facts for the report."""

    head: PublishedHead
    passed: bool
    reasons: tuple[str, ...]
    figures: Mapping[str, Any]
    facts: Mapping[str, Any]


def train_apart(
    given: TrainingInput, goes_on: Callable[[], bool], every: float, max_seconds: float
) -> Trained | None:
    """Train in a new process. ``goes_on`` is called each ``every`` seconds; None once it is false.

    Raises TrainingFailed where the faces or the rules give no head or it takes longer than
    ``max_seconds``, TrainingDied where the process was killed.
    """
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    with subprocess.Popen(
        _COMMAND,
        cwd=_ROOT,
        env=environment | _ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            _send(process, _packed_input(given))
            output = _wait(process, goes_on, every, time.monotonic() + max_seconds)
        finally:
            process.kill()
    return None if output is None else _read_output(output)


def _send(process: subprocess.Popen[bytes], given: bytes) -> None:
    """By a thread: `communicate` forgets in Python 3.11 what it could not send before its time-out."""
    pipe, process.stdin = process.stdin, None
    Thread(target=_write, args=(pipe, given), daemon=True).start()


def _write(pipe: IO[bytes] | None, given: bytes) -> None:
    with suppress(OSError):  # the end of a dead process is noticed elsewhere
        if pipe is not None:
            with pipe:
                pipe.write(given)


def _wait(
    process: subprocess.Popen[bytes], goes_on: Callable[[], bool], every: float, deadline: float
) -> bytes | None:
    while True:
        with suppress(subprocess.TimeoutExpired):
            output, errors = process.communicate(timeout=every)
            if process.returncode:
                raise TrainingDied(_failure_text(process.returncode, errors))
            return output
        if time.monotonic() > deadline:
            raise TrainingFailed("the training took longer than VERIFY_RETRAIN_TIME_LIMIT_SECONDS")
        if not goes_on():
            return None


def _failure_text(status: int, errors: bytes) -> str:
    """How it ended and its last line, which is the error that ended it; the log gets more of it."""
    how = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
    text = errors.decode(errors="replace")[-_MAX_STDERR:].strip()
    logger.warning("the training process ended (%s): %s", how, text)
    return f"the training process ended ({how}): {text.rpartition(chr(10))[2]}"


def _packed_input(given: TrainingInput) -> bytes:
    champion = given.champion
    words = {"manifest": champion.manifest, "rules": dict(given.rules)}
    return _packed(words, {"head": np.frombuffer(champion.data, np.uint8), **given.training_set.arrays()})


def _read_output(output: bytes) -> Trained:
    words, arrays = _unpacked(output)
    if "failure" in words:
        raise TrainingFailed(str(words["failure"]))
    head = PublishedHead(words["version"], words["manifest"], arrays["head"].tobytes())
    return Trained(head, words["passed"], tuple(words["reasons"]), words["figures"], words["facts"])


def _packed(words: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(_finite(words), allow_nan=False).encode(), np.uint8)
    np.savez(buffer, words=text, **arrays)
    return buffer.getvalue()


def _finite(value: Any) -> Any:
    """The same without NaN and infinities, which no database takes as JSON."""
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _unpacked(packed: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    with np.load(io.BytesIO(packed), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    return json.loads(arrays.pop("words").tobytes()), arrays


def main() -> None:
    """The process: its input on standard input, its output on standard output."""
    _end_with_the_worker()
    output_to = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries print, and would damage the output
    output = _train(*_unpacked(sys.stdin.buffer.read()))
    with output_to:
        output_to.write(output)


def _end_with_the_worker() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _train(words: Mapping[str, Any], arrays: dict[str, Array]) -> bytes:
    from pipeline.bundles.bundle import open_head, open_manifest, with_head
    from pipeline.bundles.models import read_head_params
    from pipeline.errors import PipelineError
    from pipeline.training.retrain import MemberFaces, retrain, rules_of, table_of

    manifest = open_manifest(words["manifest"])
    try:
        champion = open_head(manifest, arrays.pop("head").tobytes())
        is_test, owner = arrays.pop("is_test"), arrays.pop("owner")
        params = read_head_params(champion)
        faces = MemberFaces(table_of(params, **arrays), is_test, owner)
        rules = rules_of(words["rules"])
        made = retrain(faces, champion, params, started_from=manifest.version, rules=rules)
    except PipelineError as error:
        return _packed({"failure": str(error)}, {})
    challenger, text, packed = with_head(manifest, made.head)
    found = {
        "version": challenger.version,
        "manifest": text.decode(),
        "passed": made.gate.passed,
        "reasons": made.gate.reasons,
        "figures": made.gate.figures,
        "facts": made.facts,
    }
    return _packed(found, {"head": np.frombuffer(packed, np.uint8)})


if __name__ == "__main__":
    main()
