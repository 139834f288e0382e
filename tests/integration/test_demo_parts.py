"""The parts of the demo: its Excel file, its photos and their host, its table and its contact sheet."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image
from rich.console import Console

from pipeline.verdict import Box, Gender, Outcome, PhotoFinding, Reason, Status
from support.jobs import NOW, PHOTOS, SELFIE
from support.workers import open_empty_store
from worker.cli.system.demo import table_of
from worker.demo import contact_sheet, photos
from worker.demo.contact_sheet import thumbnail
from worker.demo.photos import photo_host
from worker.demo.run import Result
from worker.demo.scenarios import SCENARIOS, write_workbook
from worker.importing.run import import_workbook
from worker.jobs.verify_job import Why
from worker.store import Change, RequestRecord
from worker.store.tables.states import State

BASE = "http://127.0.0.1:8000"


def a_result(number: int = 0, **changes: object) -> Result:
    """A scenario with the verdict that it must get, but for the changes."""
    scenario = SCENARIOS[number]
    request = RequestRecord(
        request_id=f"r{number}",
        member_id=scenario.member_id,
        why=Why.SIGNUP,
        queue="bulk",
        state=State.DONE,
        attempts=1,
        postponed=0,
        problem=None,
        next_attempt_at=None,
        sandbox=False,
        requested_at=NOW,
        accepted_at=NOW,
        started_at=NOW,
        finished_at=NOW + timedelta(milliseconds=187),
        status=scenario.expected[0],
        reason=scenario.expected[1],
        similarity=0.83,
        gender=Gender.MALE,
        gender_probability=0.98,
        selfie=SELFIE,
        photos=PHOTOS[: len(scenario.photos)],
    )
    return Result(scenario, replace(request, **changes))  # type: ignore[arg-type]


def test_the_excel_file_of_the_demo_is_imported_without_a_complaint(tmp_path: Path) -> None:
    store = open_empty_store(f"sqlite:///{tmp_path}/verify.db")
    write_workbook(tmp_path / "members.xlsx", BASE)
    report = import_workbook(tmp_path / "members.xlsx", store.members, errors_file=tmp_path / "errors.xlsx")
    assert (report.changes, report.refused, report.warnings) == ({Change.CREATED: len(SCENARIOS)}, 0, [])
    for scenario in SCENARIOS:
        member = store.members.find(scenario.member_id)
        assert member
        assert member.declared_gender == scenario.declared
        assert member.selfie_url == f"{BASE}/{scenario.selfie}"
        assert member.photo_urls == tuple(f"{BASE}/{name}" for name in scenario.photos)


def test_the_photo_host_serves_its_files_and_knows_dead_links(tmp_path: Path) -> None:
    (tmp_path / "here.jpg").write_bytes(b"photo")
    with photo_host(tmp_path) as url:
        assert requests.get(f"{url}/here.jpg", timeout=5).content == b"photo"
        assert requests.get(f"{url}/gone.jpg", timeout=5).status_code == 404


def test_the_table_loses_nothing_on_a_narrow_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Console(width=80).print(table_of([a_result()]))
    rows = [line.split("│") for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    whole = [
        "".join(part.split()[0] for part in column if part.strip()) for column in zip(*rows, strict=True)
    ]
    assert "reason" + "same_person" in whole
    assert "verdict" + "approved" in whole


def test_a_verdict_that_was_not_expected_is_noticed() -> None:
    assert a_result().as_expected
    assert not a_result(status=Status.REVIEW).as_expected
    assert not a_result(reason=Reason.SAME_PICTURE).as_expected
    assert not a_result(state=State.DEAD, status=None, reason=None).as_expected


def test_a_download_that_was_tampered_with_is_refused(tmp_path: Path) -> None:
    (tmp_path / "face_recognition-1.3.0.tar.gz").write_bytes(b"something else")
    with pytest.raises(photos.PhotosMissing, match="not the file that was expected"):
        photos.gather(tmp_path / "photos", tmp_path)


def test_the_table_shows_a_surprise_with_what_was_expected() -> None:
    table = table_of([a_result(0), a_result(1, status=Status.APPROVED, reason=Reason.SAME_PERSON)])
    assert [str(cell) for cell in table.columns[-1].cells] == ["✓", "✗ review different_person"]


def test_the_contact_sheet_is_drawn_for_every_member_even_without_photos(tmp_path: Path) -> None:
    drawn = contact_sheet.draw([a_result(i) for i in range(len(SCENARIOS))], tmp_path, tmp_path / "sheet.png")
    with Image.open(drawn) as picture:
        assert picture.width > picture.height > 500


def test_a_member_without_a_verdict_has_a_card_too(tmp_path: Path) -> None:
    dead = a_result(0, state=State.DEAD, status=None, reason=None, selfie=None, photos=())
    assert contact_sheet.draw([dead], tmp_path, tmp_path / "sheet.png").is_file()


def test_a_thumbnail_is_cut_around_the_face_with_its_box(tmp_path: Path) -> None:
    photo = np.full((800, 1200, 3), 200, np.uint8)
    photo[300:400, 900:1000] = (10, 20, 200)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    finding = PhotoFinding(1, Outcome.SAME, faces=1, box=Box(900, 300, 100, 100))
    cut = np.asarray(thumbnail(tmp_path / "photo.png", finding, (150, 180), "#ff0000"))
    assert cut.shape == (180, 150, 3)
    assert tuple(cut[180 * 45 // 100, 75]) == (10, 20, 200)  # the face is where one looks
    assert (np.all(cut == (255, 0, 0), axis=-1)).sum() > 300  # with a red frame


def test_a_thumbnail_of_a_photo_that_is_not_there_says_so(tmp_path: Path) -> None:
    finding = PhotoFinding(1, Outcome.NOT_FETCHED)
    panel = np.asarray(thumbnail(tmp_path / "gone.jpg", finding, (150, 180), "#ff0000"))
    assert len(np.unique(panel)) > 3  # a text on a plain panel
