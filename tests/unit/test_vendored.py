"""What the console serves and we did not write is what its page says, to the byte, and comes along."""

from __future__ import annotations

import hashlib
import re
import tomllib
from base64 import b64encode

import pytest

from support.bundle import ROOT

VENDOR = ROOT / "worker" / "console" / "static" / "vendor"
PAGE = (VENDOR / "README.md").read_text(encoding="utf-8")
STATED = dict(re.findall(r"\| \[([\w.-]+)\].*`(sha384-[\w+/=]+)` \|", PAGE))


@pytest.mark.parametrize("name", STATED)
def test_a_file_has_the_hash_that_is_stated(name: str) -> None:
    digest = hashlib.sha384((VENDOR / name).read_bytes()).digest()
    assert STATED[name] == "sha384-" + b64encode(digest).decode()


def test_every_script_is_stated_with_its_licence() -> None:
    code = {path.name for path in VENDOR.iterdir() if path.suffix in {".js", ".css"}}
    assert code == STATED.keys()
    licences = set(re.findall(r"\(([\w.]+LICENSE\.txt)\)", PAGE))
    assert {path.name for path in VENDOR.glob("*.LICENSE.txt")} == licences


def test_an_installation_takes_every_file_of_a_folder_along() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert settings["package-data"] == {"*": ["*"]}
