"""The experiments as one HTML page: each table beside the source's, in words that claim no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.evaluation.pages import html
from pipeline.evaluation.pages.plots import trials_svg
from pipeline.experiments.tables import SOURCE_NOTE, TABLES, Table

Figures = Mapping[str, Any]
CONSTANT = 0.5
HEADS = (
    *("", "source: pairs right", "here: pairs right", "AUC", "source: gender right", "here: gender right"),
    *("difference in points (95 %)", "strangers taken for one", "one taken for strangers", "before training"),
)
NAMES = {"facenet": "FaceNet", "vgg19": "VGG19", "own_cnn": "own CNN"}
LIMITS = (
    "LFW's photos are press pictures of public people, mostly Western; not selfies of members of 50 to 69.",
    "Few people, and all seeds share them: another split is not other data, and intervals are too narrow.",
    "Training is short, so that all of it fits into an hour. Longer training may change the order.",
    "FaceNet's and ImageNet's weights were made by others, perhaps with photos of some of these people.",
    "The accuracy is that of a threshold for balanced pairs; the product's approve edge is far stricter.",
    "The source system's photos (98 members, and 62 people of LFW) are not here; its figures are quoted.",
)


def page(results: Figures) -> str:
    """The whole page, from `results.json`."""
    tables = {row["name"]: row for row in results["tables"]}
    parts = [_top(results), *(_table(table, tables[table.name]) for table in TABLES)]
    return html.document(
        "Face verification: the experiments",
        "".join([*parts, html.section("What none of this tells", html.points(LIMITS))]),
    )


def _top(results: Figures) -> str:
    intro = (
        "A team of 2022 built the system that this one follows, and wrote down five comparisons. Here they "
        f"are made again with this project's training, on {results['photos']} photos of {results['people']} "
        f"people, about as many men as women. Each line is trained {_seeds(results)} times; each time the "
        "people are split anew, by lot, into those who are learned from, those by whom training is stopped "
        "and the threshold is chosen, and those who are tested. Nobody is in two of these groups. Within one "
        "seed all lines have the same people and the same pairs."
    )
    if results["quick"]:
        intro = f"A quick run, which only shows that everything works: its figures mean nothing. {intro}"
    heads = ("network", "weights at the start", "size of a face", "rounds of training")
    rows = [
        [NAMES[name], row["weights"], f"{row['side']} x {row['side']}", str(row["epochs"])]
        for name, row in results["networks"].items()
    ]
    return (
        f"<h1>The experiments, made again</h1>{html.words(intro, soft=True)}"
        + html.section("How to read the source's figures", html.words(SOURCE_NOTE))
        + html.section("The networks", html.table(heads, rows), html.words(_made(results), soft=True))
    )


def _made(results: Figures) -> str:
    return (
        f"Made on {results['made']} in {results['minutes']} minutes of processor time. Unless a line says "
        "otherwise it is FaceNet in colour, with contrastive loss, the gender output and augmentation."
    )


def _seeds(results: Figures) -> int:
    return len(results["size"]["seeds"])


def _table(table: Table, figures: Figures) -> str:
    rows = figures["rows"]
    drawn = trials_svg({row["label"]: row["accuracy"]["each"] for row in rows}, CONSTANT)
    caption = "Dots: one seed each. Bar: their mean. Dashed: any constant answer."
    texts = [*shows(figures), f"What it cannot tell: {table.limits}"]
    if table.source_said:
        texts.insert(0, f"The source's figures: {table.source_said}")
    return html.section(
        table.title,
        html.words(table.question),
        html.beside(html.figures((drawn, caption)), html.points(texts)),
        html.table(HEADS, [*map(_row, rows), _constant(rows)]),
    )


def _constant(rows: Sequence[Figures]) -> list[str]:
    """What needs no network."""
    gender = _mean(next(row["gender_constant"] for row in rows if row["gender"]))
    return [
        "any constant answer",
        "27 or 73 %",
        "50 %",
        "0.500",
        "",
        gender,
        "",
        "0 or 100 %",
        "100 or 0 %",
        "",
    ]


def _row(row: Figures) -> list[str]:
    return [
        row["label"],
        row["source"],
        _spread(row["accuracy"]),
        f"{row['auc']['mean']:.3f} ± {row['auc']['std']:.3f}",
        row["source_gender"],
        _spread(row["gender"]) if row["gender"] else html.NOTHING,
        _points(row["difference"]) if row["difference"] else "",
        _mean(row["fmr"]),
        _mean(row["fnmr"]),
        _mean(row["before"]),
    ]


def shows(figures: Figures) -> list[str]:
    """What a table says, in words that the numbers choose."""
    sentences = [_sentence(row, figures["base"]) for row in figures["rows"] if row["difference"]]
    return [*sentences, *(_start(row) for row in figures["rows"] if not row["difference"])]


def _start(row: Figures) -> str:
    pairs = (
        f"“{row['label']}” called {_mean(row['before'])} of the pairs rightly before it was trained here, "
        f"and {_mean(row['accuracy'])} after."
    )
    if not row["gender"]:
        return pairs
    before, after = (_mean(row[name]) for name in ("gender_before", "gender"))
    return f"{pairs} It read the gender rightly in {before} of the faces before, and in {after} after."


def _sentence(row: Figures, base: str) -> str:
    apart = row["difference"]
    size, seeds = f"{abs(100 * apart['mean']):.1f} points", len(apart["each"])
    if not apart["told"]:
        return (
            f"“{row['label']}” and “{base}” cannot be told apart by {seeds} seeds: they lie {size} apart, "
            f"which chance alone could explain."
        )
    better = "better" if apart["mean"] > 0 else "worse"
    return (
        f"“{row['label']}” is {better} than “{base}” by {size}, more than chance explains over {seeds} seeds."
    )


def _spread(value: Figures) -> str:
    return f"{100 * value['mean']:.1f} ± {100 * value['std']:.1f} %"


def _mean(value: Figures | None) -> str:
    return html.NOTHING if value is None else f"{100 * value['mean']:.1f} %"


def _points(apart: Figures) -> str:
    """Percentage points with their 95 % interval."""
    told = f"{100 * apart['mean']:+.1f}"
    if apart["interval95"] is None:
        return told
    low, high = apart["interval95"]
    return f"{told} ({100 * low:+.1f} to {100 * high:+.1f})"
