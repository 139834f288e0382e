"""The evaluation as one HTML page for people: what was measured, what it shows, what it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.evaluation.impostors import ALL_FOLDS
from pipeline.evaluation.pages import plots
from pipeline.evaluation.pages.html import render
from pipeline.evaluation.pages.pictures import worst_mistakes
from pipeline.evaluation.run import Evaluation


def page(evaluation: Evaluation, pictures_from: Path | None = None) -> str:
    """The whole page. With a folder of images the worst mistakes are shown as pictures of people."""
    data = evaluation.figures
    return render(
        "evaluation/pages/templates/evaluation.html.j2",
        data=data,
        curves=_curves(evaluation),
        impostors=_impostors(data.get("exhaustive", {})),
        genders=plots.intervals(data["gender"]["groups"]) if "gender" in data else None,
        mistakes=worst_mistakes(evaluation.scored, pictures_from) if pictures_from else None,
    )


def _curves(evaluation: Evaluation) -> list[str]:
    """ROC, DET, and the scores twice; none without genuine or without impostor pairs."""
    scored = evaluation.scored
    genuine, impostor = scored.scores[scored.same], scored.scores[~scored.same]
    if not len(genuine) or not len(impostor):
        return []
    curves = {"pairs of the list": (genuine, impostor)}
    everybody = evaluation.impostors.get(ALL_FOLDS)
    many = impostor
    if everybody is not None and len(everybody.scores):
        many = everybody.scores
        curves["the same, all impostors of one gender"] = (genuine, many)
    return [
        plots.roc(genuine, many),
        plots.det(curves),
        plots.histogram(genuine, many, scored.band),
        plots.histogram(genuine, many, scored.band, logarithmic=True),
    ]


def _impostors(exhaustive: dict[str, dict[str, Any]]) -> list[tuple[str, str, dict[str, Any]]]:
    """(group, who, figures); of a single fold only men and women together."""
    return [
        (group, who, row)
        for group, slices in exhaustive.items()
        for who, row in slices.items()
        if row["pairs"] and (who == "both" or not group.startswith("fold "))
    ]
