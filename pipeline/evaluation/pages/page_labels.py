"""The page's parts about LFW: its protocol, and its labels as published and without the wrong ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.evaluation.pages import html
from pipeline.evaluation.pages.html import number, percent

Figures = Mapping[str, Any]

LABELS = {"as_published": "labels as published", "without_wrong_labels": "without the wrong labels"}


def folds_part(data: Figures) -> str:
    """Accuracy fold by fold; nothing where the pairs have no folds."""
    if "folds" not in data:
        return ""
    folds = data["folds"]
    rows = [[f"fold {i}", percent(right)] for i, right in enumerate(folds["each"], 1)]
    rows.append(["mean ± deviation", f"{percent(folds['mean'])} ± {percent(folds['std'])}"])
    return html.section(
        "LFW's protocol",
        html.words(
            "Each fold is judged at the threshold that suits the other folds best, and by a head that knows "
            "none of its people. This is the number that papers quote (people: 97.5 %; FaceNet's own: "
            "99.65 %, with another detector). It says little about this product: its threshold is far looser "
            "than the approve edge, and its people are mostly Western men."
        ),
        html.table(("fold", "pairs called rightly"), rows),
    )


def labels_part(data: Figures) -> str:
    """The same figures twice, side by side."""
    left_out = data["labels"]["left_out"]
    rows = [_label_row(said, data["labels"][key]) for key, said in LABELS.items()]
    return html.section(
        "Labels as published, and without the wrong ones",
        html.words(
            "Some of LFW's photos stand under a wrong name. lfw_labels.csv lists those that are known, each "
            "with what shows it. The second row leaves out every pair that uses a listed photo, those that "
            f"the machine called rightly too: {left_out['pairs']} of this list, {left_out['genuine']} of "
            "them said to show one person. Wrong labels that nobody found are in both rows. Everything else "
            "on this page takes the labels as published."
        ),
        html.table(
            ("labels", "pairs", "called rightly", "wrongly", "AUC", "FMR at edge", "FNMR at edge"), rows
        ),
    )


def _label_row(name: str, row: Figures) -> list[str]:
    folds, edge = row.get("folds"), row["at_threshold"]
    return [
        name,
        f"{row['pairs']:,}",
        f"{percent(folds['mean'])} ± {percent(folds['std'])}" if folds else html.NOTHING,
        number(folds["wrong"]) if folds else html.NOTHING,
        number(row["auc"]),
        percent(edge["fmr"]),
        percent(edge["fnmr"]),
    ]
