"""What every scorer must hold to."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.faces.types import Embeddings, Scores
from pipeline.score import Scorer


def assert_all_ways_to_score_agree(
    scorer: Scorer, first: dict[str, Embeddings], second: dict[str, Embeddings]
) -> Scores:
    """Row by row, every face against every other, and one against one; returns the matrix.

    Two projected faces each.
    """
    matrix = scorer.matrix(first, second)
    assert scorer.scores(first, second) == pytest.approx(np.diag(matrix))
    one = scorer.compare({n: v[:1] for n, v in first.items()}, {n: v[1:] for n, v in second.items()})
    assert one.score == pytest.approx(matrix[0, 1])
    return matrix
