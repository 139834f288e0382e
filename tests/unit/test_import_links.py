"""What a cell says and where it leads."""

from __future__ import annotations

import pytest

from worker.importing.links import NoAddress, addresses_in, is_page, link_in

ONE, TWO = "https://p.example.com/1.jpg", "https://p.example.com/2.jpg"


@pytest.mark.parametrize(
    ("formula", "shown", "link"),
    [
        (f'HYPERLINK("{ONE}","사진")', "사진", ONE),
        (f'hyperlink( "{ONE}" )', ONE, ONE),
        ('HYPERLINK("https://p.example.com/""a"".jpg","b")', "b", 'https://p.example.com/"a".jpg'),
        ('HYPERLINK("https://p.example.com/"&A2&".jpg","사진")', "사진", ""),
        ('HYPERLINK(CONCATENATE("https://p.example.com/",A2),"사진")', "사진", ""),
        (f'HYPERLINK(B2,"{TWO}")', TWO, ""),
        (f'IF(A5="","",HYPERLINK("{ONE}","사진"))', "사진", ""),
        (f'HYPERLINK("https://p.example.com/"&A2,"{TWO}")', TWO, ""),
        ('HYPERLINK("https://p.example.com/"&A2&".jpg")', ONE, None),
        ('HYPERLINK("#Sheet2!A1","사진")', "사진", None),
        ('"https://p.example.com/"&A2', ONE, None),
        ("VLOOKUP(A2,B:C,2,0)", ONE, None),
        ("", ONE, None),
    ],
)
def test_a_formula_leads_to_an_address_only_where_it_is_written_whole(
    formula: str, shown: str, link: str | None
) -> None:
    assert link_in(formula, shown) == link


@pytest.mark.parametrize(
    ("text", "link", "addresses"),
    [
        ("사진", ONE, [ONE]),
        ("", ONE, [ONE]),
        ("p.example.com/1.jpg", ONE, [ONE]),
        (ONE, ONE, [ONE]),
        (ONE, TWO, [TWO]),
        (f"{ONE} {TWO}", ONE, [ONE, TWO]),
        (f"{ONE}\n{TWO}", f"{ONE}%0A{TWO}", [ONE, TWO]),
        ("https://p.example.com/사진.jpg", "https://p.example.com/%EC%82%AC%EC%A7%84.jpg", None),
        ("https://p.example.com", "https://p.example.com/", None),
        (f"{ONE},{TWO};", None, [ONE, TWO]),
        ("", None, []),
    ],
)
def test_a_link_goes_before_the_text_that_stands_in_its_place(
    text: str, link: str | None, addresses: list[str] | None
) -> None:
    """None: what is shown, since the link is the same but for the way Excel escapes it."""
    assert addresses_in(text, link) == ([text] if addresses is None else addresses)


@pytest.mark.parametrize(
    ("text", "link", "word"),
    [
        ("사진", None, "no link"),
        (f"1) {ONE} 2) {TWO}", ONE, "no link"),
        (f"{ONE} {TWO}", "https://p.example.com/3.jpg", "leads to another one"),
        (ONE, "", "a formula computes the link"),
    ],
)
def test_a_cell_that_may_mean_several_things_is_refused(text: str, link: str | None, word: str) -> None:
    with pytest.raises(NoAddress, match=word):
        addresses_in(text, link)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://drive.google.com/file/d/1abc/view?usp=sharing", True),
        ("https://drive.google.com/open?id=1abc", True),
        ("https://drive.google.com/uc?export=download&id=1abc", False),
        ("https://docs.google.com/document/d/1abc/edit", True),
        ("https://photos.app.goo.gl/abc", True),
        ("https://www.dropbox.com/s/abc/1.jpg?dl=0", True),
        ("https://www.dropbox.com/scl/fi/abc/1.jpg?rlkey=x", True),
        ("https://www.dropbox.com/s/abc/1.jpg?dl=1", False),
        ("https://www.dropbox.com/s/abc/1.jpg?raw=1", False),
        ("https://dl.dropboxusercontent.com/s/abc/1.jpg", False),
        ("https://naver.me/abc", True),
        ("https://mybox.naver.com/share/list?shareKey=abc", True),
        ("https://photo.mybox.naver.com/abc", True),
        ("https://1drv.ms/i/s!abc", True),
        ("https://share.icloud.com/photos/abc", True),
        ("https://phinf.pstatic.net/1.jpg", False),
        ("https://photos.example.com/drive.google.com/file/d/1", False),
        ("https://[broken/", False),
        (ONE, False),
    ],
)
def test_pages_for_sharing_are_no_photos(url: str, expected: bool) -> None:
    assert is_page(url) is expected
