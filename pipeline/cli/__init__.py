"""`python -m pipeline`: one module for each command, imported only when it is called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

import click

COMMANDS: Final[Mapping[str, str]] = {
    "verify": "Compare the faces in photos with that of a selfie.",
    "weights": "Convert the networks' weights and put the bundle together.",
    "fit": "Fit a head: means, projection, thresholds, gender.",
    "fit-occlusion": "Fit a head's detection of masks, scarves, hands and glasses.",
    "train": "Train on labelled faces and write a whole bundle.",
    "augment": "Show the augmentations of training on a contact sheet.",
    "forget-photos": "Remove what a cache keeps of photos.",
    "calibrate": "Set a bundle's thresholds on labelled pairs.",
    "lfw": "Write LFW's photos and lists.",
    "evaluate": "Measure the error rates on labelled pairs.",
    "simulate": "Verify simulated members.",
    "experiments": "Train and compare networks, colours, losses and augmentation.",
    "bench": "Measure what a verification costs.",
}
"""The commands and their descriptions, so that the list is shown without loading any of them."""


FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
PATH = click.Path(path_type=Path)
# Options that several commands share.
images_option = click.option(
    "--images", type=FOLDER, required=True, help="The folder that the CSVs' paths start from."
)
bundle_option = click.option("--bundle", type=PATH, default=Path("var/bundle"))
cache_option = click.option("--cache", type=PATH, help="Keep embeddings of the photos here.")
as_shipped_option = click.option(
    "--as-shipped", is_flag=True, help="By the bundle's own head; it must be new to the people."
)
in_sample_option = click.option(
    "--in-sample", is_flag=True, help="Report even on people from whom the bundle learned."
)
operators_key_option = click.option(
    "--identity-key", type=FILE, help="Of the operator whose members the bundle learned from."
)
new_key_option = click.option(
    "--identity-key",
    type=FILE,
    help="Without it, whoever guesses a person's name can check it in the bundle.",
)


class LazyGroup(click.Group):
    """Knows its commands by name, so that `--help` needs neither models nor TensorFlow."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of a first use."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"pipeline.cli.{cmd_name.replace('-', '_')}")
        return cast(click.Command, module.command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list for `--help`; click's own would shorten the descriptions."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """Verify that photos show the same person; build and measure the models for it."""
