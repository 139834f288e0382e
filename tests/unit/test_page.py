"""The page: one file, nothing from the network, nobody's picture unless asked for, no empty claims."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.data import Pair
from pipeline.evaluation.impostors import all_impostors, exhaustive_figures, named_groups
from pipeline.evaluation.pages.html import between, percent
from pipeline.evaluation.pages.page import page
from pipeline.evaluation.protocol import PairScorer, fit_without, score_pairs
from pipeline.evaluation.report import summary
from pipeline.evaluation.run import Evaluation
from pipeline.evaluation.simulated.population import (
    Heads,
    groups_by_split,
    labelled_faces,
    populations_of,
)
from pipeline.evaluation.simulated.simulation import simulate
from support.made_up_faces import SETTINGS, Town

STATUSES = {"members": 4, "approved": 1, "review": 3, "reasons": {"same_picture": 3}}
SAMPLE = {
    "pairs": 4,
    "in_sample": 2,
    "genuine": STATUSES,
    "impostor": STATUSES,
    "photos": {
        name: {"share": 0.25, "interval95": (0.1, 0.5)}
        for name in ("failed_to_acquire", "refused_by_gates", "several_faces")
    }
    | {"gates": {"too_dark": 2}},
    "milliseconds": {"all": {"p50": 112.0, "p95": 190.0}, "stages": {"detect": {"p50": 12.0, "p95": None}}},
}
GENDER = {
    "faces": 9,
    "accuracy": 0.9,
    "unknown": 0.05,
    "accuracy_decided": 0.95,
    "groups": {
        "women 50+": {"faces": 4, "accuracy": 0.75, "interval95": (0.3, 0.95)},
        "men 50+": {"faces": 0, "accuracy": None, "interval95": (0.0, 1.0)},
    },
}


@pytest.fixture(scope="module")
def town() -> Town:
    return Town(people=40)


def evaluated(town: Town, pairs: list[Pair], extra: dict | None = None) -> Evaluation:
    def judge(tested: np.ndarray) -> PairScorer:
        return fit_without(tested, town.table, SETTINGS)

    found = all_impostors(named_groups(pairs, town.people), town.table, judge)
    facts = {
        "model_version": "v <1>",
        "fitted": "without them",
        "in_sample": 0,
        "exhaustive": exhaustive_figures(found),
    }
    scored = score_pairs(pairs, town.embedded, town.people, judge)
    return Evaluation(summary(scored, {**facts, **(extra or {})}), scored, found)


def pairs_of(folds: int = 2) -> list[Pair]:
    return [
        Pair(f"p{4 * k + fold}/0.jpg", f"p{4 * (k if same else k + 1) + fold}/1.jpg", same, fold=str(fold))
        for fold in range(folds)
        for k in range(6)
        for same in (True, False)
    ]


@pytest.fixture(scope="module")
def whole(town: Town) -> str:
    populations = populations_of(
        groups_by_split(town.faces, town.people),
        labelled_faces(town.faces, town.embedded, town.people),
        Heads(lambda tested: fit_without(tested, town.table, SETTINGS), SETTINGS),
    )
    members = simulate(populations, honest=40, impostors=40)
    extra = {"sample": SAMPLE, "replays": {"mirrored": STATUSES}, "gender": GENDER, "simulation": members}
    return page(evaluated(town, pairs_of(), extra))


def test_the_page_says_where_the_bundle_learned_from_the_test_people(town: Town, whole: str) -> None:
    assert "looks too good" not in whole
    flattered = text_of(page(evaluated(town, pairs_of(), {"in_sample": 7, "sample": SAMPLE})))
    assert "learned from 7 of the very people" in flattered
    assert "says nothing of strangers" in flattered


def text_of(html: str) -> str:
    """The same without what is only written for the browser: escapes, line breaks, spaces that hold."""
    return " ".join(unescape(html).split())


class Checker(HTMLParser):
    """Which tags are left open, and what would be fetched."""

    VOID = frozenset({"meta", "br", "img", "link", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        links = [value for name, value in attrs if name in ("src", "href", "xlink:href") and value]
        self.fetched += [link for link in links if not link.startswith(("#", "data:"))]
        if tag in ("script", "link", "iframe"):
            self.fetched.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_it_is_whole_and_needs_nothing_from_anywhere(whole: str) -> None:
    checker = Checker()
    checker.feed(whole)
    assert checker.open == []
    assert checker.fetched == []
    assert not re.search(r"url\((?!#)", whole)
    assert "@import" not in whole


def test_every_part_is_there(whole: str) -> None:
    headings = re.findall(r"<h2>(.*?)</h2>", text_of(whole))
    assert headings == [
        "In short",
        "Curves and scores",
        "By set",
        "LFW's protocol",
        "Labels as published, and without the wrong ones",
        "All impostors of one gender",
        "Gender by age group",
        "Simulated members",
        "Real verifications, from file to verdict",
        "The same photo sent twice",
        "What the data cannot tell",
    ]
    assert whole.count("<svg") == 5
    assert 'name="viewport"' in whole


def test_the_numbers_are_those_of_the_json(town: Town, whole: str) -> None:
    figures, text = evaluated(town, pairs_of()).figures, text_of(whole)
    assert f"<b>{percent(figures['folds']['mean'])}</b>" in text
    assert f"<b>{percent(figures['at_threshold']['fnmr'])}</b>" in text
    assert f"{figures['exhaustive']['all folds']['both']['pairs']:,}" in text


def test_the_accuracy_stands_with_the_labels_as_published_and_without_the_wrong_ones(whole: str) -> None:
    text = text_of(whole)
    assert "right on LFW's protocol, labels as published;" in text
    assert "right on LFW's protocol, without the wrong labels;" in text
    assert "0 of this list, 0 of them" in text


def test_the_same_evaluation_gives_the_same_page(town: Town) -> None:
    evaluation = evaluated(town, pairs_of())
    assert page(evaluation) == page(evaluation)


def test_names_from_files_cannot_write_html(town: Town) -> None:
    pairs = [Pair(p.file_x, p.file_y, p.same, set="<script>alert(1)</script>") for p in pairs_of()]
    text = page(evaluated(town, pairs))
    assert "<script" not in text
    assert "v &lt;1&gt;" in text


def test_impostors_alone_give_a_page_that_says_what_it_cannot_tell(town: Town) -> None:
    text = page(evaluated(town, [pair for pair in pairs_of() if not pair.same]))
    assert "no curves" in text
    assert "–" in text
    assert "nan" not in text.lower().replace("finance", "")


def test_nobody_is_shown_unless_it_is_asked_for(town: Town, whole: str, tmp_path: Path) -> None:
    assert "<img" not in whole
    assert "data:image" not in whole
    for pair in pairs_of():
        for file in (pair.file_x, pair.file_y):
            (tmp_path / file).parent.mkdir(exist_ok=True)
            Image.new("RGB", (40, 40), "red").save(tmp_path / file)
    (tmp_path / "p0/0.jpg").write_bytes(b"no picture")
    shown = page(evaluated(town, pairs_of()), tmp_path)
    assert shown.count('src="data:image/jpeg;base64,') > 10
    assert "0.jpg cannot be shown" in shown


def test_a_face_that_was_not_found_is_shown_as_such(town: Town, tmp_path: Path) -> None:
    lost = Pair("p0/0.jpg", "nobody/9.jpg", same=True, fold="0")
    assert "no face" in page(evaluated(town, [*pairs_of(), lost]), tmp_path)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, "–"),
        (0.0, "0 %"),
        (1e-17, "0 %"),
        (1.0, "100 %"),
        (0.99766, "99.77 %"),
        (0.00123, "0.123 %"),
        (0.000077, "0.0077 %"),
        (5e-7, "< 0.0001 %"),
    ],
)
def test_small_shares_are_not_rounded_away(share: float | None, text: str) -> None:
    assert percent(share) == text


def test_a_line_does_not_break_between_a_number_and_its_sign(whole: str) -> None:
    assert "threshold 0.3&nbsp;% of all" in whole
    assert "<th>TAR at FMR 1&nbsp;%</th>" in whole
    assert not re.search(r"\s%", whole.replace("\xa0", ""))


def test_an_interval_that_nobody_can_tell_is_a_dash() -> None:
    assert between(None) == "–"
    assert between((0.0, 0.5)) == "0 % to 50.00 %"
