"""The evaluation as one HTML page for people: what was measured, what it shows, what it does not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.evaluation.exhaustive import ALL_FOLDS
from pipeline.evaluation.pages import html
from pipeline.evaluation.pages.html import between, number, percent
from pipeline.evaluation.pages.page_labels import LABELS, folds_part, labels_part
from pipeline.evaluation.pages.page_members import replay_part, sample_part, simulation_part
from pipeline.evaluation.pages.pictures import worst_pictures
from pipeline.evaluation.pages.plots import det_svg, gender_svg, histogram_svg, roc_svg
from pipeline.evaluation.run import Evaluation

Figures = Mapping[str, Any]

SINGLES = ("who", "people", "pairs", "false matches", "FMR at edge", "interval", "at LFW's threshold")
WHO = {
    "male": "men",
    "female": "women",
    "both": "men and women",
    "users_kind_male": "East-Asian men",
    "users_kind_female": "East-Asian women",
}
WEAKNESSES = (
    "The photos are press and web pictures of public people, not selfies and profile photos of members.",
    "LFW has three men for every woman, few East-Asian faces and hardly anybody whose age is known.",
    "Nearly all East-Asian people with several photos here are men, and they are few.",
    "For East-Asian women there are hardly more than impostor pairs of single photos.",
    "Labels are not free of errors. Some of the worst mistakes may be the labels', not the machine's.",
    "No set holds Koreans of 50 to 69 with several photos each: for them the error rates are unknown.",
    "The networks were trained by others on large sets of public people; some tested people may be in them.",
)


def page(evaluation: Evaluation, pictures_from: Path | None = None) -> str:
    """The whole page. With a folder of images the worst mistakes are shown as pictures of people."""
    data = evaluation.figures
    parts = [
        _top(data),
        _curves(evaluation),
        _sets(data),
        folds_part(data),
        labels_part(data),
        _exhaustive(data),
        _singles(data),
        _gender(data),
        simulation_part(data.get("simulation")),
        sample_part(data.get("sample")),
        replay_part(data.get("replays")),
        worst_pictures(evaluation.scored, pictures_from) if pictures_from else "",
        _data(),
    ]
    return html.document("Face verification: how good is it?", "".join(parts))


def _top(data: Figures) -> str:
    edge = data["at_threshold"]
    numbers = [
        ("genuine pairs refused (FNMR) at the approve edge", percent(edge["fnmr"])),
        (
            f"impostor pairs that pass (FMR) there; with 95 % certainty below {percent(edge['fmr_upper95'])}",
            percent(edge["fmr"]),
        ),
        ("of the pairs are left undecided between the two edges", percent(data["undecided"])),
        ("pairs in which a face was not found (they count as non-matches)", str(data["failed_to_acquire"])),
        ("area under the ROC curve", number(data["auc"])),
        ("equal error rate", percent(data["eer"])),
    ]
    if "folds" in data:
        numbers[:0] = [_protocol(said, data["labels"][key]["folds"]) for key, said in LABELS.items()]
    intro = (
        f"Bundle {data['model_version']}, {data['pairs']:,} labelled pairs of photos, heads fitted "
        f"{data['fitted']}. A genuine pair shows one person twice, an impostor pair two people. The approve "
        "edge is the score from which the machine approves by itself; it is set so that of a thousand "
        "impostors of the users' kind one would pass. Below the different edge it says “somebody else”; "
        "between the two a person looks."
    )
    if data["in_sample"] != 0:
        who = "an unknown number" if data["in_sample"] is None else f"{data['in_sample']:,}"
        intro += f" The bundle learned from {who} of the very people it is tested on here: it looks too good."
    return (
        f"<h1>Face verification: how good is it?</h1>{html.words(intro, soft=True)}"
        f"{html.section('In short', html.headline(numbers))}"
    )


def _protocol(labels: str, folds: Figures) -> tuple[str, str]:
    spread = percent(folds["std"])
    return f"right on LFW's protocol, {labels}; ± {spread} between folds", percent(folds["mean"])


def _curves(evaluation: Evaluation) -> str:
    scored = evaluation.scored
    genuine, impostor = scored.scores[scored.same], scored.scores[~scored.same]
    if not len(genuine) or not len(impostor):
        return html.section("Curves", html.words("There are no genuine or no impostor pairs: no curves."))
    everybody = evaluation.impostors.get(ALL_FOLDS)
    curves = {"pairs of the list": (genuine, impostor)}
    many = impostor
    if everybody is not None and len(everybody.scores):
        many = everybody.scores
        curves["the same, all impostors of one gender"] = (genuine, many)
    return html.section(
        "Curves and scores",
        html.words(
            "Each point of a curve is one possible edge. Scores of different folds were made by different "
            "heads, so they are laid together with each head's approve edge at 0. A face that was not found "
            "counts as a pair that does not match. The curves say nothing about people unlike those tested."
        ),
        html.figures(
            (roc_svg(genuine, many), "ROC: the nearer to the upper left corner, the better."),
            (
                det_svg(curves),
                "DET: both kinds of error; lower is better. Dots: the approve edge. No error: half a pair.",
            ),
            (
                histogram_svg(genuine, many, scored.band),
                "How scores spread. Grey: between the different edge (dashed) and the approve edge.",
            ),
            (
                histogram_svg(genuine, many, scored.band, logarithmic=True),
                "The same on a logarithmic scale: the few pairs on the wrong side of an edge.",
            ),
        ),
    )


def _sets(data: Figures) -> str:
    named = dict(data["sets"])
    rows = [_row(name, row) for name, row in ({"all": data, **named}).items()]
    heads = ("set", "pairs", "no face", "AUC", "EER", "TAR at FMR 1 %", "at 0.1 %", "FMR at edge")
    more = ("FMR, 95 % below", "FNMR at edge", "FNMR interval", "undecided")
    return html.section(
        "By set",
        html.words(
            "TAR is the share of genuine pairs that would pass if the edge let so many impostors of this "
            "set through. A dash means that the set cannot tell: it has no such pairs, or too few of them."
        ),
        html.table((*heads, *more), rows),
    )


def _row(name: str, row: Figures) -> list[str]:
    edge, tar = row["at_threshold"], row["tar_at_fmr"]
    interval = None if edge["fnmr"] is None else (edge["fnmr_low95"], edge["fnmr_high95"])
    return [
        name,
        f"{row['pairs']:,}",
        str(row["failed_to_acquire"]),
        number(row["auc"]),
        percent(row["eer"]),
        percent(tar["0.01"]),
        percent(tar["0.001"]),
        percent(edge["fmr"]),
        percent(edge["fmr_upper95"]),
        percent(edge["fnmr"]),
        between(interval),
        percent(row["undecided"]),
    ]


def _exhaustive(data: Figures) -> str:
    rows = [
        [
            f"{group}, {WHO[who]}",
            f"{row['people']:,}",
            f"{row['pairs']:,}",
            f"{row['false_matches']:,}",
            percent(row["fmr"]),
            between(row["fmr_interval95"]) if _told(row) else "not measurable",
            percent(row["fmr_upper95_if_independent"]),
            percent(row["fmr_at_reference"]),
        ]
        for group, slices in data.get("exhaustive", {}).items()
        for who, row in slices.items()
        if row["pairs"] and (who == "both" or not group.startswith("fold "))
    ]
    if not rows:
        text = "No people of known identity and gender among the pairs: this cannot be measured here."
        return html.section("All impostors of one gender", html.words(text))
    heads = ("who", "people", "pairs", "false matches", "FMR", "interval by people")
    more = ("95 % below, were pairs independent", "FMR at LFW's threshold")
    return html.section(
        "All impostors of one gender",
        html.words(
            "The lists hold few impostors, and pairs of a man and a woman are easy. Here every two people of "
            "one gender in a fold or set meet with all their photos. Pairs that share a person are not "
            "independent, so the interval draws people again, not pairs. Without any false match its upper "
            "end counts only pairs that share nobody, which is very careful. At LFW's threshold 0.3 % of all "
            "other people's impostors pass: it shows how much harder some people are to tell apart. A rate "
            "of 0.1 % cannot be measured with less than 10,000 pairs. Where a group is nearly all there is "
            "of the users' kind, each pair's edge is set by all others but its two people: people who look "
            "alike then pass an edge that they would have raised."
        ),
        html.table((*heads, *more), rows),
    )


def _told(row: Figures) -> bool:
    """Whether the interval tells anything: there are errors, or enough pairs to expect some."""
    return bool(row["measurable"] or row["false_matches"])


def _singles(data: Figures) -> str:
    if "impostors" not in data:
        return ""
    rows = [
        [
            f"{name}, {WHO[gender]} of 50 to 69",
            str(row["people"]),
            f"{row['pairs']:,}",
            f"{row['false_matches']:,}",
            percent(row["fmr"]),
            between(row["fmr_interval95"]),
            percent(row["fmr_at_reference"]),
        ]
        for name, genders in data["impostors"].items()
        for gender, row in genders.items()
    ]
    return html.section(
        "Seniors of whom one photo each is known",
        html.words(
            "Pairs of one gender, at most ten years apart. Pairs that a person looked at and found to be one "
            "and the same (same_people.csv) are left out; whoever else stands in the set twice counts as a "
            "false match. Nothing here tells how often seniors' own photos match."
        ),
        html.table(SINGLES, rows),
    )


def _gender(data: Figures) -> str:
    if "gender" not in data:
        return ""
    gender = data["gender"]
    rows = [
        [name, str(row["faces"]), percent(row["accuracy"]), between(row["interval95"])]
        for name, row in gender["groups"].items()
    ]
    summary = (
        f"{gender['faces']} adults, each judged by a head that was fitted without it. Right for "
        f"{percent(gender['accuracy'])}; {percent(gender['unknown'])} are answered “unknown”, of the others "
        f"{percent(gender['accuracy_decided'])} are right. Groups are small: look at the intervals. A wrong "
        "gender alone never turns a member away; a confident contradiction of the declared one only asks "
        "for a person's look."
    )
    drawn = gender_svg(gender["groups"])
    return html.section(
        "Gender by age group",
        html.words(summary),
        html.beside(
            html.figures((drawn, "Women orange, men blue.")),
            html.table(("who", "faces", "right", "95 % interval"), rows),
        ),
    )


def _data() -> str:
    return html.section("What the data cannot tell", html.points(WEAKNESSES))
