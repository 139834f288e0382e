"""The worst mistakes as pictures of people; only where the operator asks for them."""

from __future__ import annotations

import base64
import io
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pipeline.datasets.data import Pair
from pipeline.evaluation.pages import html
from pipeline.evaluation.report import Scored

MOST = 12
SIDE = 200


def worst_pictures(scored: Scored, root: Path) -> str:
    """The most alike impostors, the least alike genuine pairs, then pairs without a face."""
    impostors = [i for i in np.argsort(-scored.scores) if not scored.same[i]][:MOST]
    genuine = np.flatnonzero(scored.same & np.isfinite(scored.scores))
    least = genuine[np.argsort(scored.scores[genuine])][:MOST]
    lost = np.flatnonzero(np.isneginf(scored.scores))[:MOST]
    parts = [
        html.words("The impostors that look most alike; from 0 they would pass."),
        _pairs(scored, np.array(impostors, np.int64), root),
        html.words("The genuine pairs that look least alike; below 0 they are not approved."),
        _pairs(scored, least, root),
    ]
    if len(lost):
        parts += [html.words("Pairs in which a face was not found."), _pairs(scored, lost, root)]
    note = "Pictures of people: keep this page to those who may see them. Some labels are wrong."
    return html.section("The worst mistakes", html.words(note, soft=True), *parts)


def _pairs(scored: Scored, rows: NDArray[np.int64], root: Path) -> str:
    cells = (_pair(scored.pairs[int(row)], float(scored.scores[row]), root) for row in rows)
    return f'<div class="pairs">{"".join(cells)}</div>'


def _pair(pair: Pair, score: float, root: Path) -> str:
    names = f"{Path(pair.file_x).name} · {Path(pair.file_y).name}"
    shown = f"{score:+.3f}" if np.isfinite(score) else "no face"
    return f"<div>{_image(root / pair.file_x)} {_image(root / pair.file_y)}<br>{escape(names)}: {shown}</div>"


def _image(path: Path) -> str:
    """A small JPEG inside the page; a file that is no picture is named instead."""
    buffer = io.BytesIO()
    try:
        with Image.open(path) as picture:
            small = ImageOps.exif_transpose(picture).convert("RGB")
            small.thumbnail((SIDE, SIDE))
            small.save(buffer, "JPEG", quality=80)
    except OSError:
        return f"<em>{escape(path.name)} cannot be shown</em>"
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{escape(path.name)}" src="data:image/jpeg;base64,{data}">'
