"""Mutated photos end no process, hang none and make none grow: the short form of `chaos.fuzz_photos`."""

from __future__ import annotations

from chaos.fuzz_photos import fuzz


def test_mutated_photos_do_no_harm() -> None:
    report = fuzz(first=0, files=250)
    assert report.files == 250
    assert report.clean, report
    assert len(report.what) >= 3  # some are refused, some are still pictures: the mutations reach everything
