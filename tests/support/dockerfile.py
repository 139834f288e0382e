"""worker/Dockerfile, read into its stages and steps, and the files that it copies."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Final

from support.bundle import ROOT

DOCKERFILE: Final = ROOT / "worker" / "Dockerfile"
IGNORED: Final = DOCKERFILE.with_name("Dockerfile.dockerignore")


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction: `COPY` and the rest of its line, continued lines joined."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage with its own steps; ``base`` is an earlier stage or an image of somebody else's."""

    name: str
    base: str
    steps: list[Step] = field(default_factory=list)


def stages() -> dict[str, Stage]:
    """The stages by name, in order; what is an argument before the first one has its default."""
    found: dict[str, Stage] = {}
    defaults: dict[str, str] = {}
    for step in _steps(DOCKERFILE.read_text()):
        if step.kind == "ARG" and not found:
            name, _, defaults[name] = step.text.partition("=")
        elif step.kind == "FROM":
            base, _, name = step.text.partition(" AS ")
            found[name] = Stage(name, Template(base).substitute(defaults))
        else:
            [*found.values()][-1].steps.append(step)
    return found


def _steps(text: str) -> list[Step]:
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    whole = re.sub(r"\\\n\s*", " ", lines).splitlines()
    words = [line.strip().partition(" ") for line in whole if line.strip()]
    return [Step(kind, " ".join(rest.split())) for kind, _, rest in words]


def chain(name: str, known: Mapping[str, Stage]) -> list[Stage]:
    """A stage after those it is made from; the first one's base is an image of somebody else's."""
    stage = known[name]
    return [*(chain(stage.base, known) if stage.base in known else []), stage]


def steps_of(name: str, kind: str) -> list[str]:
    """The texts of all steps of a kind that make a stage, its bases' first."""
    return [step.text for stage in chain(name, stages()) for step in stage.steps if step.kind == kind]


def copied(source: str) -> list[Path]:
    """The files that `COPY source` takes, by their paths within the project. Docker fails without any."""
    rules = [
        (not line.startswith("!"), _regex(line.lstrip("!")))
        for line in IGNORED.read_text().splitlines()
        if line and not line.startswith("#")
    ]
    start = ROOT / source
    files = [p.relative_to(ROOT) for p in (start.rglob("*") if start.is_dir() else [start]) if p.is_file()]
    found = sorted(path for path in files if not _left_out(path, rules))
    assert found, f"nothing to copy: {source}"
    return found


def _left_out(path: Path, rules: Sequence[tuple[bool, re.Pattern[str]]]) -> bool:
    """The last rule counts that fits the path or a folder above it."""
    places = [path.as_posix(), *(p.as_posix() for p in path.parents)]
    fitting = [out for out, regex in rules if any(regex.fullmatch(place) for place in places)]
    return bool(fitting) and fitting[-1]


def _regex(pattern: str) -> re.Pattern[str]:
    """`**/` is any number of folders, `*` anything within one name."""
    parts = re.split(r"(\*\*/|\*)", pattern)
    return re.compile("".join({"**/": "(?:.*/)?", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts))
