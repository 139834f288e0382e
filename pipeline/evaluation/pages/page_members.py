"""The part of the page about members: the simulation, real verifications, photos sent twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.evaluation.pages import html
from pipeline.evaluation.pages.html import NOTHING, between, percent

Figures = Mapping[str, Any]
KINDS = {
    "honest": "honest members",
    "impostor": "impostors with a stranger's photos",
    "look_alike": "impostors with the photos of the most similar of 20 people",
}
WHO = {"female": "women", "male": "men", "users_kind": "East-Asian faces"}


def simulation_part(simulation: Figures | None) -> str:
    """How many members a machine would settle, and how often it would be wrong."""
    if not simulation:
        return ""
    tables = "".join(
        f"<p><strong>{name}</strong></p>{_honest(simulation[kind])}"
        if kind == "honest"
        else f"<p><strong>{name}</strong></p>{_impostors(simulation[kind])}"
        for kind, name in KINDS.items()
        if simulation[kind]
    )
    return html.section(
        "Simulated members",
        html.words(
            "Members with 1 to 6 photos are drawn from labelled faces: photos alone, the photo that looks "
            "least like the selfie (as an old one would), retouched ones, groups, and pictures without a "
            "face. The product's own rules decide. How often members send what is assumed; the faces and "
            "their scores are real. Quality gates are not simulated (see the real verifications below). "
            "The same people are drawn again and again, so the true intervals are wider than those given."
        ),
        html.words(_mix(simulation["mix"]), soft=True),
        tables,
        html.words(_ages(simulation), soft=True),
    )


def _honest(slices: Figures) -> str:
    rows = [
        [
            WHO.get(name, name),
            f"{row['members']:,}",
            percent(row["decided"]),
            percent(row["approved"]),
            percent(row["sent_back"]),
            percent(row["wrongly_sent_back"]),
            percent(row["undecided"]),
            percent(row["suspected"]),
        ]
        for name, row in slices.items()
    ]
    heads = ("who", "members", "decided by the machine", "approved", "asked for another photo")
    return html.table((*heads, "of these wrongly", "left to a person", "of these as a suspect"), rows)


def _impostors(slices: Figures) -> str:
    rows = [
        [
            WHO.get(name, name),
            f"{row['members']:,}",
            percent(row["wrongly_approved"]),
            between(row["approved_interval95"]),
            percent(row["undecided"]),
            percent(row["sent_back"]),
        ]
        for name, row in slices.items()
    ]
    heads = ("who", "impostors", "wrongly approved", "95 % interval", "left to a person")
    return html.table((*heads, "asked for another photo"), rows)


def _mix(mix: Figures) -> str:
    photos = ", ".join(f"{i}: {share:.0%}" for i, share in enumerate(mix["photos"], 1))
    sent = ", ".join(f"{name} {share:.0%}" for name, share in mix["sent"].items())
    no_face = f"{mix['junk_selfie']:.0%}"
    return f"Assumed: number of photos {photos}; kinds of photos {sent}; selfies without a face {no_face}."


def _ages(simulation: Figures) -> str:
    if any(name.endswith("and over") for name in simulation["honest"]):
        return "Ages are as labelled."
    if any(name.endswith("and over") for name in simulation["impostor"]):
        return (
            "Only single photos carry an age here, so impostors of 50 and over can be told, honest members "
            "cannot: how often seniors are wrongly sent back or left to a person is unknown."
        )
    return "No ages are known in this data: nothing can be said by age."


LEARNED_FROM_THEM = (
    " The bundle as it is learned from people of this list: how many of them it approves says nothing "
    "of strangers."
)


def sample_part(sample: Figures | None) -> str:
    """What gates and detector leave unjudged, and how long it takes."""
    if not sample:
        return ""
    photos, times = sample["photos"], sample["milliseconds"]
    rows = [
        ["no face found, or no picture", *_share(photos["failed_to_acquire"])],
        ["refused by a quality gate", *_share(photos["refused_by_gates"])],
        ["several people", *_share(photos["several_faces"])],
    ]
    gates = ", ".join(f"{name} {count}" for name, count in photos["gates"].items()) or "none"
    milliseconds = [["all", *_times(times["all"])]] + [
        [stage, *_times(row)] for stage, row in times["stages"].items()
    ]
    return html.section(
        "Real verifications, from file to verdict",
        html.words(
            f"{sample['pairs']} of the pairs went through the whole product, one photo as selfie and one as "
            "gallery photo. Here the largest face counts, as in the product, so bystanders matter. Gates "
            f"that refused: {gates}. These pictures are not selfies: members' own will fail differently."
            + ("" if sample["in_sample"] == 0 else LEARNED_FROM_THEM)
        ),
        html.table(("photos", "share", "95 % interval"), rows),
        html.table(
            ("pairs", "members", "approved", "left to a person", "asked for another photo"),
            [_statuses(name, sample[name]) for name in ("genuine", "impostor")],
        ),
        html.words(
            "Milliseconds for two photos, one thread, downloads left out; other work on the same "
            "machine makes them longer."
        ),
        html.table(("stage", "median", "95 of 100 take less"), milliseconds),
    )


def replay_part(replays: Figures | None) -> str:
    """The stolen photo that is sent as selfie and gallery photo."""
    if not replays:
        return ""
    rows = [_statuses(name, row) for name, row in replays.items()]
    approved = sum(row["approved"] for row in replays.values())
    members = sum(row["members"] for row in replays.values())
    return html.section(
        "The same photo sent twice",
        html.words(
            f"A stolen photo in the gallery and, edited, as selfie: {approved} of {members} approved. "
            "Two different stolen photos of one person cannot be noticed this way: that needs a live selfie."
        ),
        html.table(("selfie", "members", "approved", "left to a person", "asked for another photo"), rows),
    )


def _statuses(name: str, row: Figures) -> list[str]:
    return [name, str(row["members"]), *(str(row.get(s, 0)) for s in ("approved", "review", "retry_photo"))]


def _share(row: Figures) -> list[str]:
    return [percent(row["share"]), between(row["interval95"])]


def _times(row: Figures) -> list[str]:
    return [NOTHING if row[key] is None else f"{row[key]:.0f}" for key in ("p50", "p95")]
