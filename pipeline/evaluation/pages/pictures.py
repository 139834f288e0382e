"""The worst mistakes as pictures of people; only where the operator asks for them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from pipeline.evaluation.report import Scored

MOST = 12
SIDE = 200


def worst_mistakes(scored: Scored, root: Path) -> dict[str, list[dict[str, Any]]]:
    """The most alike impostors, the least alike genuine pairs, then pairs without a face."""
    scores, by_score = scored.scores, np.argsort(scored.scores)
    rows: dict[str, Sequence[int]] = {
        "impostors": [i for i in np.argsort(-scores) if not scored.same[i]],
        "genuine": [i for i in by_score if scored.same[i] and np.isfinite(scores[i])],
        "lost": np.flatnonzero(np.isneginf(scores)).tolist(),
    }
    return {kind: _pairs(scored, found[:MOST], root) for kind, found in rows.items()}


def _pairs(scored: Scored, rows: Sequence[int], root: Path) -> list[dict[str, Any]]:
    pairs = [(scored.pairs[row], float(scored.scores[row])) for row in rows]
    return [
        {
            "score": f"{score:+.3f}" if np.isfinite(score) else "no face",
            "photos": [(Path(file).name, _jpeg(root / file)) for file in (pair.file_x, pair.file_y)],
        }
        for pair, score in pairs
    ]


def _jpeg(path: Path) -> str | None:
    """A small JPEG in base64; None of a file that is no picture."""
    buffer = io.BytesIO()
    try:
        with Image.open(path) as picture:
            small = ImageOps.exif_transpose(picture).convert("RGB")
            small.thumbnail((SIDE, SIDE))
            small.save(buffer, "JPEG", quality=80)
    except OSError:
        return None
    return base64.b64encode(buffer.getvalue()).decode()
