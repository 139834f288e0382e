"""The whole product on a sample of pairs: gates, timings, and stolen photos that are sent twice.

Other figures are computed from embeddings of labelled faces. Here `pipeline.verify` gets the files, with
detector, quality gates and replay checks.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final
from zlib import crc32

import numpy as np
from PIL import Image

from pipeline.datasets.data import Pair
from pipeline.datasets.embeddings import Dataset, find_main_face
from pipeline.evaluation.simulated.edits import EDITS, Edit
from pipeline.fitting import metrics
from pipeline.images.decode import decode
from pipeline.terminal import track
from pipeline.verdict import REFUSED, Outcome, PhotoFinding, Status, Verdict
from pipeline.verify import verify

SAME_FILE: Final = "same file"
SEVERAL = frozenset({Outcome.SEVERAL_FACES, Outcome.MEMBER_NOT_SEEN, Outcome.GROUP_SAME})
NOT_ACQUIRED = frozenset({Outcome.NO_FACE, Outcome.INVALID_IMAGE})


def sample_pairs(pairs: Sequence[Pair], count: int, seed: int = 1) -> list[Pair]:
    """At most ``count`` pairs at random, half of them genuine where there are enough."""
    rng = np.random.default_rng(seed)
    chosen: list[Pair] = []
    for same in (True, False):
        of_kind = [pair for pair in pairs if pair.same is same]
        chosen += [of_kind[i] for i in rng.permutation(len(of_kind))[: count // 2]]
    return chosen


def sample_figures(dataset: Dataset, pairs: Sequence[Pair], count: int) -> dict[str, Any]:
    """Statuses, refused photos and milliseconds of ``count`` verifications."""
    chosen = sample_pairs(pairs, count)
    verdicts = [
        verify(dataset.models, _read(dataset, pair.file_x), [_read(dataset, pair.file_y)])
        for pair in track(chosen, len(chosen), "verifying")
    ]
    genuine = [v for pair, v in zip(chosen, verdicts, strict=True) if pair.same]
    impostor = [v for pair, v in zip(chosen, verdicts, strict=True) if not pair.same]
    return {
        "pairs": len(chosen),
        "genuine": _statuses(genuine),
        "impostor": _statuses(impostor),
        "photos": _photos([finding for v in verdicts for finding in (v.selfie, *v.photos)]),
        "milliseconds": _timings(verdicts),
    }


def replay_figures(dataset: Dataset, files: Sequence[str]) -> dict[str, Any]:
    """Statuses of photos that are sent to the gallery and, edited, as selfie."""
    return {
        name: _statuses([_replayed(dataset, file, edit) for file in track(files, len(files), name)])
        for name, edit in {SAME_FILE: None, **EDITS}.items()
    }


def _replayed(dataset: Dataset, file: str, edit: Edit | None) -> Verdict:
    data = _read(dataset, file)
    return verify(dataset.models, _edited(dataset, data, edit) if edit else data, [data])


def _edited(dataset: Dataset, data: bytes, edit: Edit) -> bytes:
    """The photo edited as a JPEG, seeded by its content; unchanged where it shows no face."""
    found = find_main_face(dataset.models, decode(data).rgb)
    if found is None:
        return data
    edited = edit(found[0], found[1].box, np.random.default_rng(crc32(data)))
    buffer = io.BytesIO()
    Image.fromarray(edited).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _read(dataset: Dataset, file: str) -> bytes:
    return (dataset.root / file).read_bytes()


def _statuses(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    count = Counter(verdict.status for verdict in verdicts)
    return {
        "members": len(verdicts),
        **{status.value: count[status] for status in Status if count[status] or status is Status.APPROVED},
        "reasons": dict(sorted(Counter(verdict.reason.value for verdict in verdicts).items())),
    }


def _photos(findings: Sequence[PhotoFinding]) -> dict[str, Any]:
    outcomes = [finding.outcome for finding in findings]
    counts = Counter(outcome.value for outcome in outcomes if outcome in REFUSED)
    return {
        "photos": len(outcomes),
        "failed_to_acquire": _share(sum(outcome in NOT_ACQUIRED for outcome in outcomes), len(outcomes)),
        "refused_by_gates": _share(sum(outcome in REFUSED for outcome in outcomes), len(outcomes)),
        "several_faces": _share(sum(outcome in SEVERAL for outcome in outcomes), len(outcomes)),
        "gates": dict(sorted(counts.items())),
    }


def _share(count: int, total: int) -> dict[str, Any]:
    return {"share": count / total if total else None, "interval95": metrics.wilson(count, total)}


def _timings(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Milliseconds of a verification of two photos on one thread: median and 95th percentile."""
    totals = [sum(verdict.timings.values()) for verdict in verdicts]
    stages = sorted({stage for verdict in verdicts for stage in verdict.timings})
    return {
        "all": _percentiles(totals),
        "stages": {
            stage: _percentiles([v.timings[stage] for v in verdicts if stage in v.timings])
            for stage in stages
        },
    }


def _percentiles(values: Sequence[float]) -> dict[str, float | None]:
    if not values:
        return {"p50": None, "p95": None}
    return {"p50": float(np.percentile(values, 50)), "p95": float(np.percentile(values, 95))}
