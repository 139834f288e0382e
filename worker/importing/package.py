"""The zip file behind an .xlsx: its parts, read as a stream of elements, within limits.

A file of a few kilobytes can unpack to gigabytes, so nothing of it becomes a tree: a part is read in
pieces, a handler keeps what it needs, and a budget for the whole file bounds what may be read and
kept. openpyxl bounds neither: 200 kB of shared strings cost it minutes and gigabytes.
"""

from __future__ import annotations

import os
import posixpath
import zipfile
from dataclasses import dataclass
from typing import IO, Final
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl

from defusedxml.expatreader import create_parser

from worker.errors import PermanentError

MAX_FILE_BYTES: Final = 20 * 1024 * 1024
MAX_UNZIPPED_BYTES: Final = 200 * 1024 * 1024
MAX_RATIO: Final = 200
"""How many times its packed size a part may have; real sheets have 5 to 20."""
MAX_PARTS: Final = 2000
MAX_ELEMENTS: Final = 8_000_000
"""XML elements in all parts that are read; a cell with a value is two or three."""
MAX_ROWS: Final = 100_000
"""Members of one file; rows that are empty do not count."""
MAX_COLUMNS: Final = 100
MAX_CELLS: Final = 2_000_000
MAX_CHARACTERS: Final = 64_000_000
MAX_TEXT: Final = 32_767
"""Characters in one cell: no more go into one in Excel."""
_SMALL: Final = 1024 * 1024  # bytes; below, the ratio does not count
_CHUNK: Final = 65_536  # bytes
_MAX_SILENT_CHUNKS: Final = 16  # no tag and no text for so long: the parser would hold all of it
_MAX_DEPTH: Final = 100
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_COMPRESSIONS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # LZMA may take gigabytes
_ENCRYPTED: Final = 0x1


class BadWorkbook(PermanentError):
    """The file cannot be imported at all; the text says why and what to do."""


class Budget:
    """How much of a file may still be read and kept. All methods raise BadWorkbook at the end of it."""

    def __init__(self) -> None:
        self._elements, self._kept, self._shown = MAX_ELEMENTS, MAX_CHARACTERS, MAX_CHARACTERS
        self._cells = MAX_CELLS

    def elements(self, count: int) -> None:
        """For elements that were read."""
        self._elements -= count
        if self._elements < 0:
            raise BadWorkbook(
                f"more than {MAX_ELEMENTS:,} XML elements: delete empty rows, columns and sheets, "
                "or split the file"
            )

    def cells(self, count: int) -> None:
        """For cells that were kept."""
        self._cells -= count
        if self._cells < 0:
            raise BadWorkbook(f"more than {MAX_CELLS:,} cells: split the file")

    def keep(self, text: str) -> str:
        """For a text that takes memory; gives it back."""
        self._kept -= len(text)
        return self._within(text, self._kept)

    def show(self, text: str) -> str:
        """For a text that a cell shows: many cells may share one. Gives it back."""
        self._shown -= len(text)
        return self._within(text, self._shown)

    @staticmethod
    def _within(text: str, left: int) -> str:
        if left < 0:
            raise BadWorkbook(f"more than {MAX_CHARACTERS:,} characters of text: split the file")
        return text


class PartHandler(ContentHandler):
    """Elements by their names without prefix, and the text in them while ``listens``."""

    def __init__(self, budget: Budget) -> None:
        super().__init__()
        self.budget = budget
        self.elements = self.depth = self.events = 0
        self.listens = self._is_phonetic = False
        self._texts: list[str] = []
        self._length = 0

    def start(self, name: str, attributes: AttributesImpl) -> None:
        """An element begins."""

    def end(self, name: str) -> None:
        """An element ends."""

    def start_text(self, name: str) -> None:
        """Within a rich text: its runs count, how words of other writings sound (`rPh`) does not."""
        self._is_phonetic |= name == "rPh"
        self.listens = name == "t" and not self._is_phonetic

    def end_text(self, name: str) -> None:
        """The other end of `start_text`."""
        self._is_phonetic &= name != "rPh"
        self.listens = False

    def take_text(self) -> str:
        """The text since the last time."""
        text = "".join(self._texts)
        self._texts, self._length, self.listens = [], 0, False
        return text

    def startElement(self, name: str, attrs: AttributesImpl) -> None:
        self.elements += 1
        self.depth += 1
        self.start(_local(name), attrs)

    def endElement(self, name: str) -> None:
        self.events += 1
        self.depth -= 1
        self.end(_local(name))

    def characters(self, content: str) -> None:
        self.events += 1
        if self.listens:
            self._texts.append(content)
            self._length += len(content)
            if self._length > MAX_TEXT:
                raise BadWorkbook(f"a cell of more than {MAX_TEXT:,} characters, which Excel does not allow")


def _local(name: str) -> str:
    return name.rpartition(":")[2] if ":" in name else name


@dataclass(frozen=True, slots=True)
class Relationship:
    """What a part leads to: ``kind`` is the last word of its type, ``target`` a part or an address."""

    kind: str
    target: str


class Package:
    """The parts of an open .xlsx, by path."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        # Names count without case (OPC); some programs write backslashes.
        self._names = {name.replace("\\", "/").casefold(): name for name in archive.namelist()}
        self.budget = Budget()

    def has(self, path: str) -> bool:
        """Whether there is such a part."""
        return path.casefold() in self._names

    def parse(self, path: str, handler: PartHandler) -> None:
        """Read a part through a handler. Raises BadWorkbook, and whatever damage makes parsers raise."""
        parser = create_parser(forbid_dtd=True)
        parser.setContentHandler(handler)
        info = self._archive.getinfo(self._names[path.casefold()])
        if info.compress_type not in _COMPRESSIONS:
            raise ValueError("no workbook is packed like this")
        if info.file_size > max(_SMALL, MAX_RATIO * info.compress_size):
            raise BadWorkbook(
                f"a part of the file unpacks to more than {MAX_RATIO} times its size: open it in Excel, "
                "copy the list into a new workbook and save that"
            )
        with self._archive.open(info) as part:
            silent = 0
            while chunk := part.read(_CHUNK):
                elements, events = handler.elements, handler.events
                parser.feed(chunk)
                self.budget.elements(handler.elements - elements)
                silent = 0 if (elements, events) != (handler.elements, handler.events) else silent + 1
                if silent > _MAX_SILENT_CHUNKS or handler.depth > _MAX_DEPTH:
                    raise ValueError("no part of a workbook looks like this")
        parser.close()

    def related(self, path: str = "") -> dict[str, Relationship]:
        """What a part leads to, by relationship ID; without a path what the package does."""
        folder, name = posixpath.split(path)
        relations = posixpath.join(folder, "_rels", f"{name}.rels")
        handler = _Relationships(self.budget, folder)
        if self.has(relations):
            self.parse(relations, handler)
        return handler.found


class _Relationships(PartHandler):
    def __init__(self, budget: Budget, folder: str) -> None:
        super().__init__(budget)
        self._folder = folder
        self.found: dict[str, Relationship] = {}

    def start(self, name: str, attributes: AttributesImpl) -> None:
        if name != "Relationship":
            return
        target = self.budget.keep(attributes.get("Target") or "")
        if attributes.get("TargetMode") != "External":
            target = posixpath.normpath(posixpath.join("/", self._folder, target)).lstrip("/")
        kind = (attributes.get("Type") or "").rpartition("/")[2]
        self.found[self.budget.keep(attributes.get("Id") or "")] = Relationship(kind, target)


def check_file(file: IO[bytes]) -> None:
    """By its bytes, not by its name. Raises BadWorkbook."""
    start, size = file.read(len(_OLE)), file.seek(0, os.SEEK_END)
    if start == _OLE:
        raise BadWorkbook("an old .xls file, or one with a password: save it as .xlsx without a password")
    if not start.startswith(b"PK"):
        raise BadWorkbook("no Excel workbook: open it in Excel (a .csv, too) and save it as .xlsx")
    if size > MAX_FILE_BYTES:
        raise BadWorkbook(f"larger than {MAX_FILE_BYTES >> 20} MiB: split the file")


def check_archive(archive: zipfile.ZipFile) -> None:
    """What the parts say of their size holds: zipfile reads no further. Raises BadWorkbook."""
    parts = archive.infolist()
    if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNZIPPED_BYTES:
        raise BadWorkbook(
            f"more than {MAX_UNZIPPED_BYTES >> 20} MiB when unpacked: delete empty rows and pictures, "
            "or split the file"
        )
    if any(part.flag_bits & _ENCRYPTED for part in parts):
        raise BadWorkbook("a zip file with a password: save it as .xlsx without a password")
    names = {part.filename for part in parts}
    if "xl/workbook.bin" in names or "mimetype" in names:
        raise BadWorkbook("an .xlsb or .ods file: save it as .xlsx")
