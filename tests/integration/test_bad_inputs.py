"""The page of bad inputs says what happens."""

from __future__ import annotations

from support.bad_inputs import PAGE, page


def test_the_page_of_bad_inputs_is_what_comes_of_trying_them() -> None:
    written, tried = PAGE.read_text(encoding="utf-8"), page()
    assert written == tried, "write it anew: PYTHONPATH=.:tests python -m support.bad_inputs"
