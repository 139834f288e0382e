"""An image of worker/Dockerfile without a container: its steps, done in a folder.

What the steps install goes into an environment of its own, what they copy into a tree that nobody may write
to. What runs there sees no other package, no other file of the project and no setting but its own, and has
no rights: where the tests run as root it is `nobody`.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from support.bundle import ROOT
from support.dockerfile import Step, chain, copied, stages

_NOT_HERE: Final = ("apt-get", "rm -rf /var/lib/apt/lists")
"""What needs root and a package manager; `tests/setup.sh` sees to the same."""
_ONLY_FOR_SIZE: Final = ("PIP_NO_CACHE_DIR", "PYTHONDONTWRITEBYTECODE")
"""Settings that keep an image small and a test slow."""
_AS_ROOT: Final = os.geteuid() == 0
_NOBODY: Final = pwd.getpwnam("nobody")
_NO_PYTHON_PACKAGES: Final = shutil.ignore_patterns(
    "site-packages", "__pycache__", "test", "idlelib", "tkinter"
)


class Image:
    """The stage ``name``, built in ``root``; ``bundle`` is what the stage `weights` would make."""

    def __init__(self, name: str, root: Path, bundle: Path) -> None:
        self.root, self._bundle = root, bundle
        self.variables: dict[str, str] = {}
        self._arguments: dict[str, str] = {}
        self.command: list[str] = []
        self.app = root
        self._sealed: list[Path] = []
        self._users: set[str] = set()
        self._user: str | None = None
        self._temporary.mkdir()
        built = chain(name, stages())
        self._start_from(built[0].base)
        for stage in built:
            for step in stage.steps:
                self._do(step)
        self._seal()

    @property
    def home(self) -> Path:
        """VERIFY_HOME."""
        return Path(self.variables["VERIFY_HOME"])

    @property
    def _temporary(self) -> Path:
        return self.root / "tmp"

    # Building.

    def _start_from(self, base: str) -> None:
        wanted = re.match(r"python:(\d+)\.(\d+)-", base)
        assert wanted, f"no environment can be made from {base}"
        assert tuple(map(int, wanted.groups())) == sys.version_info[:2]
        python = _python_for_everybody(self.root / "python")
        self._build(str(python), "-m", "venv", str(self.root / "venv"))

    def _do(self, step: Step) -> None:
        match step.kind:
            case "ENV" | "ARG":
                settings = dict(word.split("=", 1) for word in shlex.split(step.text))
                into = self.variables if step.kind == "ENV" else self._arguments
                into.update({name: self._placed(value) for name, value in settings.items()})
            case "WORKDIR":
                self.app = self._inside(step.text)
                self.app.mkdir(parents=True)
                self._sealed.append(self.app)
            case "COPY":
                self._copy(step.text.split())
            case "RUN":
                for command in step.text.split(" && "):
                    self._run(command)
            case "USER":
                self._user = step.text
            case "CMD":
                self.command = json.loads(step.text)
            case _:
                raise AssertionError(f"no test does the step {step.kind}")

    def _run(self, command: str) -> None:
        words = shlex.split(command)
        if words[:2] == ["pip", "install"]:
            self._build("python", "-m", "pip", "install", "--quiet", "--no-compile", *words[2:])
        elif words[0] == "for":
            self._build("sh", "-c", command)
        elif words[0] == "useradd":
            self._users.add(words[-1])
        elif not command.startswith(_NOT_HERE):
            raise AssertionError(f"no test does the step RUN {command}")

    def _copy(self, words: Sequence[str]) -> None:
        *sources, target = words
        assert target.endswith("/") or words[0].startswith("--from=")
        if sources[0].startswith("--from="):
            folder = self._inside(target)
            assert Path(self.variables["VERIFY_BUNDLE"]).parent == folder
            folder.mkdir()
            shutil.copytree(self._bundle, folder / "bundle")
            self._sealed.append(folder)
            return
        for source in sources:
            for file in copied(source):
                within = file.relative_to(source) if (ROOT / source).is_dir() else Path(file.name)
                place = self._inside(target) / within
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / file, place)

    def _seal(self) -> None:
        """The code is for reading; its user has a home and a place for what is temporary."""
        for place in self._for_reading():
            place.chmod(0o555 if place.is_dir() else 0o444)
        self.home.mkdir(parents=True)
        if _AS_ROOT:
            for folder in (self.home, self._temporary):
                shutil.chown(folder, _NOBODY.pw_uid, _NOBODY.pw_gid)

    def unseal(self) -> None:
        """So that it can be removed by whoever made it."""
        for place in self._for_reading():
            place.chmod(0o755)

    def _for_reading(self) -> list[Path]:
        return [place for folder in self._sealed for place in [folder, *folder.rglob("*")]]

    def _build(self, *words: str) -> None:
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("PYTHON", "VERIFY_", "VIRTUAL_ENV"))}
        env = {**kept, **self._environment(), **self._arguments, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(words, cwd=self.app, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{shlex.join(words)}: {done.stdout[-1000:]}{done.stderr[-3000:]}"

    def _inside(self, path: str) -> Path:
        return self.root / path.lstrip("/") if path.startswith("/") else self.app / path

    def _placed(self, value: str) -> str:
        return str(self._inside(value)) if value.startswith("/") else value

    # Running.

    def _environment(self) -> dict[str, str]:
        variables = {n: v for n, v in self.variables.items() if n not in _ONLY_FOR_SIZE}
        return {
            "PATH": os.pathsep.join([str(self.root / "venv" / "bin"), "/usr/bin", "/bin"]),
            "LD_LIBRARY_PATH": str(self.root / "python" / "lib"),
            "LANG": "C.UTF-8",
            "TMPDIR": str(self._temporary),
            "PYTHONPYCACHEPREFIX": str(self._temporary / "compiled"),
            "PYTHONTZPATH": "",  # a small image has no zone files
            **variables,
        }

    def _as_its_user(self, settings: Mapping[str, str]) -> dict[str, Any]:
        assert self._user in self._users, "the stage ends as root"
        drop = {"user": _NOBODY.pw_uid, "group": _NOBODY.pw_gid, "extra_groups": []}
        env = {**self._environment(), "HOME": str(self.home), **settings}
        return {"cwd": self.app, "env": env, "stdin": subprocess.DEVNULL, **(drop if _AS_ROOT else {})}

    def run(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            words, **self._as_its_user(settings), capture_output=True, text=True, timeout=300, check=False
        )

    def start(self, words: Sequence[str], log: Path, **settings: str) -> subprocess.Popen[bytes]:
        """Start a program, in a process group of its own."""
        with log.open("ab") as file:
            return subprocess.Popen(
                words, **self._as_its_user(settings), stdout=file, stderr=file, start_new_session=True
            )


def _python_for_everybody(folder: Path) -> Path:
    """The interpreter of the tests, or a copy of it where only root may run it (it lies in root's home)."""
    executable = Path(sys.executable).resolve()
    if not _AS_ROOT or all(place.stat().st_mode & 0o001 for place in [executable, *executable.parents]):
        return executable
    library = Path(sysconfig.get_path("stdlib")).resolve()
    base = Path(sys.base_prefix).resolve()
    shutil.copytree(library, folder / library.relative_to(base), ignore=_NO_PYTHON_PACKAGES, symlinks=True)
    for shared in library.parent.glob("libpython*"):
        shutil.copy(shared, folder / shared.relative_to(base), follow_symlinks=False)
    copy = folder / executable.relative_to(base)
    copy.parent.mkdir(parents=True)
    return Path(shutil.copy(executable, copy))


@contextmanager
def image(name: str, bundle: Path) -> Iterator[Image]:
    """The stage, built in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="verify-image-") as folder:
        root = Path(folder)
        root.chmod(0o755)  # for its user as well
        made = Image(name, root, bundle)
        try:
            yield made
        finally:
            made.unseal()
