"""`docs/bad-inputs.md`, made by trying every input: `PYTHONPATH=.:tests python -m support.bad_inputs`."""

from __future__ import annotations

import io
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import time
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, Final

import openpyxl
from PIL import Image

from pipeline.errors import ImageError
from pipeline.images.decode import decode
from pipeline.verdict import NotFetched, Photo
from support.bad_downloads import ADDRESSES, DOWNLOADS, Download
from support.bad_jobs import BAD, BAD_SANDBOX
from support.bad_receivers import bad_receivers, wrong_settings
from support.bad_requests import errors
from support.bad_reviews import refused_reviews
from support.bad_vectors import wrong_keys, wrong_vectors
from support.bundle import ROOT
from support.invalid_messages import BATCHES, EVERYTHING
from support.jobs import NOW, a_message
from support.odd_files import chunk, video, with_chunk
from support.photo_server import PhotoServer
from support.resolving import WRONG, fetching, photo_host
from support.sheets import a_raw_workbook, a_row, a_workbook, cells_of, photo, rewritten
from support.webhook_receiver import Reply, WebhookReceiver
from worker.downloads.addresses import PRIVATE_NETWORKS, AddressRules
from worker.downloads.fetcher import FetchLimits, PhotoFetcher
from worker.errors import BadMessage
from worker.importing.package import MAX_FILE_BYTES, BadWorkbook
from worker.importing.run import import_workbook
from worker.jobs.verify_job import parse_job
from worker.store import Attempt
from worker.verification.sandbox import NoVerdict, Sandbox

PAGE: Final = ROOT / "docs" / "bad-inputs.md"
HEAD: Final = """# Bad inputs

What was tried, and the reason that each got. None of it ends a process, and none is dropped without a
word: a photo becomes an outcome of its verification, a message a row in `dead_job`, a row of an Excel
file comes back in the error workbook, the Python client raises before anything is sent, and a reviewer's
command ends with one line and changes nothing. This page is written by `tests/support/bad_inputs.py`, which
tries every line, and a test holds the two together. Mutated files and messages, in their thousands, are on
top of it: see `tests/chaos/fuzz_photos.py`.
"""
Case = tuple[str, str]
"""Input and reason."""


def files() -> Iterator[Case]:
    """Bytes in a photo's place, through the decoder."""
    for name, data in _FILES.items():
        try:
            picture = decode(data())
            yield name, f"taken ({picture.format})"
        except ImageError as refused:
            yield name, f"`{type(refused).__name__}`: {_short(str(refused))}"


def _short(text: str) -> str:
    """Without what a library says, which changes with its version."""
    return text.split(": ", maxsplit=1)[0]


def _picture(kind: str = "JPEG", size: tuple[int, int] = (120, 80), **options: Any) -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(file, kind, **options)
    return file.getvalue()


def _png(width: int, height: int) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def _jpeg_that_claims(width: int, height: int, **options: Any) -> bytes:
    data = bytearray(_picture(**options))
    frame = data.index(b"\xff\xc2" if options else b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def _with_scans(more: int) -> bytes:
    data = _picture(progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * more + data[-2:]


_FILES: Final[dict[str, Callable[[], bytes]]] = {
    "nothing at all": lambda: b"",
    "5,000 zero bytes": lambda: bytes(5000),
    "a text": lambda: b"not an image",
    "JSON": lambda: b"{}",
    "a web page": lambda: b"\n <!DOCTYPE html><html><body>404</body></html>",
    "an SVG": lambda: b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
    "a PDF": lambda: b"%PDF-1.7 ...",
    "a Photoshop file": lambda: b"8BPS\0\1",
    "a video": lambda: b"\0\0\0\x18ftypisom\0\0\0\0isommp42",
    "a GIF": lambda: _picture("GIF"),
    "a GIF that is named .jpg": lambda: _picture("GIF"),
    "a TIFF that is named .jpg": lambda: _picture("TIFF"),
    "an AVIF": lambda: b"\0\0\0\x20ftypavif\0\0\0\0avifmif1",
    "a JPEG XL": lambda: b"\xff\x0a\xfa",
    "half a JPEG": lambda: _picture()[:600],
    "half a PNG": lambda: _picture("PNG")[:200],
    "half a WebP": lambda: _picture("WEBP")[:100],
    "a JPEG of 100 scans more than it needs": lambda: _with_scans(100),
    "a JPEG of 12 bits": lambda: _picture().replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c"),
    "a JPEG whose header says 20,000 x 15,000": lambda: _jpeg_that_claims(20_000, 15_000),
    "a JPEG whose header says 65,000 x 80": lambda: _jpeg_that_claims(65_000, 80),
    "a progressive JPEG whose header says 8,000 x 6,000": lambda: _jpeg_that_claims(
        8000, 6000, progressive=True, subsampling=0
    ),
    "a PNG whose header says 30,000 x 30,000": lambda: _png(30_000, 30_000),
    "a PNG of 1 x 40,001": lambda: _picture("PNG", (1, 40_001)),
    "a WebP of 4,100 x 4,000": lambda: _picture("WEBP", (4100, 4000), quality=1),
    "a JPEG with a damaged EXIF block": lambda: _picture(
        exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12broken"
    ),
    "a JPEG with a video behind it": lambda: _picture() + video(),
    "a JPEG without its last bytes": lambda: _picture()[:-2],
    "a JPEG without its last bytes, with a video behind it": lambda: _picture()[:-2] + video(),
    "a JPEG with a line break in front": lambda: b"\r\n" + _picture(),
    "a PNG with a text that unfolds to 50 MB": lambda: with_chunk(
        _picture("PNG"), chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(50_000_000)))
    ),
    "a PNG with a damaged text": lambda: with_chunk(_picture("PNG"), chunk(b"tEXt", b"x")[:-1] + b"?"),
    "a PNG without its end": lambda: _picture("PNG")[:-12],
    "a BMP that is named .jpg": lambda: _picture("BMP"),
    "a JPEG of 8,160 x 6,144": lambda: _jpeg_that_claims(8160, 6144),
    "a JPEG of 16,320 x 12,240": lambda: _jpeg_that_claims(16_320, 12_240),
}


def addresses() -> Iterator[Case]:
    """Photo addresses that must not be asked, with the resolver's answer where it has a name."""
    rules = AddressRules(hosts=(), allow_http=True)
    for url, answers in ADDRESSES.items():
        fetcher = PhotoFetcher(FetchLimits(rules=rules), partial(_resolved, answers))
        (got,) = fetcher.fetch_all([url])
        fetcher.close()
        at = f", which is at {' and '.join(answers)}" if answers else ""
        yield f"`{url}`{at}", _why(got)


def _resolved(answers: Sequence[str], *_: object) -> Sequence[str]:
    return answers


def downloads() -> Iterator[Case]:
    """What a photo's server says."""
    rules = AddressRules(allow_http=True, ports=None, networks=PRIVATE_NETWORKS)
    limits = FetchLimits(rules=rules, max_bytes=100_000, read_seconds=2.0, total_seconds=4.0)
    for download in DOWNLOADS:
        fetcher = PhotoFetcher(limits)
        with _served(download) as url:
            (got,) = fetcher.fetch_all([url])
        fetcher.close()
        yield download.name, _why(got)


@contextmanager
def _served(download: Download) -> Iterator[str]:
    with PhotoServer() as host:
        yield host.add("photo.jpg", download.answer(host.url))


def _why(got: Photo) -> str:
    if not isinstance(got, NotFetched):
        return "taken; the decoder looks at the bytes"
    return f"`{got.problem}` ({'tried again, then ' if got.problem.passing else ''}fault: {got.fault})"


def resolvers() -> Iterator[Case]:
    """What the app says of a photo whose host forbids its link, when it is asked for a fresh one."""
    with photo_host() as host, WebhookReceiver() as app, fetching(app) as fetcher:
        for wrong in WRONG:
            app.reply = lambda _, wrong=wrong: wrong.reply(host.url)  # type: ignore[misc]
            yield wrong.name, _detailed(*fetcher.fetch_all([wrong.link(host.url)]))
        gone = WRONG[0].link(host.url)
        for name, status in (("404, or 410", 404), ("503", 503)):
            app.reply = lambda _, status=status: Reply(status)  # type: ignore[misc]
            yield name, _detailed(*fetcher.fetch_all([gone]))
    end = Event()
    with photo_host() as host, WebhookReceiver() as app, fetching(app, seconds=0.5) as fetcher:
        app.reply = lambda _: Reply(200 if end.wait(60) else 500)
        yield "nothing, in all its time", _detailed(*fetcher.fetch_all([WRONG[0].link(host.url)]))
        end.set()


def _detailed(got: Photo) -> str:
    assert isinstance(got, NotFetched)
    why = got.detail.partition("; resolver: ")[2] or got.detail
    if got.passing:
        return f"`{got.problem}` (asked again, then fault: {got.fault}): {why.partition(':')[0]}"
    return f"`{got.problem}` (fault: {got.fault}): {why}"


def messages() -> Iterator[Case]:
    """Items on a queue, and jobs with one thing wrong."""
    for name, (_, reason) in (EVERYTHING | BATCHES).items():
        yield name, f"`{reason}`"
    for name, (_, changes) in BAD.items():
        try:
            parse_job(a_message(**changes), NOW)
        except BadMessage as bad:
            yield f"a job with {name}", f"`{bad.code}`"


def requests() -> Iterator[Case]:
    """What an app asks the client for."""
    yield from ((name, f"`{type(error).__name__}`: {error}") for name, error in errors())


def sandbox_ids() -> Iterator[Case]:
    """Member IDs of the sandbox that name no verdict, or none that the request can come to."""
    for name, (member_id, changes) in BAD_SANDBOX.items():
        job = parse_job(a_message(member_id=member_id, **changes), NOW)
        there = member_id != "sandbox-approved.2"
        answer = Sandbox("sandbox-").answer(job, Attempt("r1", member_id, 1, 0, "w", NOW, (), sandbox=there))
        assert isinstance(answer, NoVerdict)
        yield f"{name} (`{member_id}`)", f"`{answer.reason}`: {answer.text}"


def workbooks() -> Iterator[Case]:
    """Whole files of the import, then rows."""
    with tempfile.TemporaryDirectory() as folder:
        for name, make in _WORKBOOKS.items():
            path = Path(folder) / "members.xlsx"
            try:
                import_workbook(make(path), None, errors_file=path.with_suffix(".errors.xlsx"))
            except BadWorkbook as bad:
                yield name, _line(str(bad))
        for name, row in _ROWS.items():
            path = a_workbook(Path(folder) / "rows.xlsx", [a_row("m1"), row])
            import_workbook(path, None, errors_file=path.with_suffix(".errors.xlsx"))
            yield f"a row with {name}", _line(str(cells_of(path.with_suffix(".errors.xlsx"))[-1][0]))


def _line(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _bytes(content: bytes) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        path.write_bytes(content)
        return path

    return make


def _entities(path: Path) -> Path:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]>'.encode()
    whole = a_workbook(path, [a_row("m1")])
    return rewritten(whole, "xl/worksheets/sheet1.xml", lambda xml: bomb + xml.replace(b">", b">&l9;", 1))


def _zip_bomb(path: Path) -> Path:
    import zipfile

    a_workbook(path, [a_row("m1")])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/big.xml", "w") as part:
        for _ in range(201):
            part.write(bytes(1 << 20))
    return path


def _too_large(path: Path) -> Path:
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(MAX_FILE_BYTES + 1)
    return path


def _other_columns(path: Path) -> Path:
    book = openpyxl.Workbook()
    book.worksheets[0].append(["name", "phone"])
    book.save(path)
    return path


_WORKBOOKS: Final[dict[str, Callable[[Path], Path]]] = {
    "an empty file": _bytes(b""),
    "a CSV": _bytes(b"member_id,selfie\nm1,https://a\n"),
    "a web page": _bytes(b"<html><table>"),
    "an old .xls, or one with a password": _bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)),
    "a damaged zip": _bytes(b"PK\x03\x04" + bytes(60)),
    "an entity bomb": _entities,
    "a zip bomb": _zip_bomb,
    "a million shared texts in a few kilobytes": lambda path: a_raw_workbook(
        path, strings="<si><t>a</t></si>" * 1_000_000
    ),
    "a text in thousands of cells": lambda path: a_raw_workbook(
        path, "<row><c/><c t='s'><v>0</v></c></row>" * 3000, strings=f"<si><t>{'a' * 30_000}</t></si>"
    ),
    "a file over the limit": _too_large,
    "other columns": _other_columns,
}
_ROWS: Final[dict[str, Sequence[Any]]] = {
    "no member ID": [None, "여", photo(1, 1), photo(1, 2)],
    "a Korean member ID": ["회원1", "여", photo(1, 1), photo(1, 2)],
    "a member ID of 65 characters": ["m" * 65, "여", photo(1, 1), photo(1, 2)],
    "an unknown gender": ["m2", "?", photo(1, 1), photo(1, 2)],
    "no photos": ["m2", "여", None, photo(1, 2)],
    "no selfie": ["m2", "여", photo(1, 1), None],
    "a file address": ["m2", "여", "file:///etc/passwd", photo(1, 2)],
    "a path of somebody's own disk": ["m2", "여", r"C:\Users\me\1.jpg", photo(1, 2)],
    "a formula instead of a link": ["m2", "여", photo(1, 1), "=1+1"],
    "a number with decimals as ID": [1001.5, "여", photo(1, 1), photo(1, 2)],
    "an ID that Excel has shortened": ["1.23457E+11", "여", photo(1, 1), photo(1, 2)],
    "an ID that is a time": [time(9, 30), "여", photo(1, 1), photo(1, 2)],
    "`nan` as ID": ["nan", "여", photo(1, 1), photo(1, 2)],
    "an error value": ["m2", "여", photo(1, 1), "#N/A"],
    "a link that a formula computes": ["m2", "여", '=HYPERLINK("https://a/"&A2,"사진")', photo(1, 2)],
    "a page for sharing": ["m2", "여", "https://drive.google.com/file/d/1/view", photo(1, 2)],
    "the same member again, with another gender": a_row("m1", "남"),
    "a photo and no member, below a member": [None, None, photo(1, 2), None],
}


def page() -> str:
    """The whole document."""
    parts = [HEAD]
    for title, cases in (
        ("Photo files", files()),
        ("Photo addresses", addresses()),
        ("Answers of a photo's server", downloads()),
        ("Answers of a photo resolver", resolvers()),
        ("Messages", messages()),
        ("What an app asks the Python client for", requests()),
        ("The sandbox", sandbox_ids()),
        ("What a reviewer does", refused_reviews()),
        ("Excel files", workbooks()),
        ("Settings of a webhook", wrong_settings()),
        ("Answers of a webhook's receiver", bad_receivers()),
        ("Keys and vectors of a retraining", (*wrong_keys(), *wrong_vectors())),
    ):
        parts.append(f"\n## {title}\n\n| input | reason |\n|---|---|\n{_rows(cases)}")
    return "".join(parts)


def _rows(cases: Iterable[Case]) -> str:
    return "".join(f"| {name} | {reason} |\n" for name, reason in cases)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
