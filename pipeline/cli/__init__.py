"""`python -m pipeline`: one module for each command, imported only when it is called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Final, cast

import click

COMMANDS: Final[Mapping[str, str]] = {
    "verify": "Compare the faces in photos with that of a selfie.",
    "weights": "Convert the networks' weights and put the bundle together.",
    "fit": "Fit a head: means, projection, edges, gender.",
    "fit-occlusion": "Teach a head masks, scarves, hands and glasses.",
    "train": "Train on labelled faces and write a whole bundle.",
    "augment": "Show the augmentations of training on a contact sheet.",
    "forget-photos": "Remove what a cache keeps of photos.",
    "calibrate": "Set a bundle's edges on labelled pairs.",
    "lfw": "Write LFW's photos and lists.",
    "evaluate": "Measure the error rates on labelled pairs.",
    "simulate": "Verify simulated members.",
    "experiments": "Train and compare networks, colours, losses and augmentation.",
    "bench": "Measure what a verification costs.",
}
"""Name to one line for the list: the list is shown without loading any of them."""


class LazyGroup(click.Group):
    """Knows its commands by name, so that `--help` needs neither models nor TensorFlow."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of a first use."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module that defines the command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"pipeline.cli.{cmd_name.replace('-', '_')}")
        return cast(click.Command, module.command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list for `--help`, out of the map; click's own cuts the commands' first sentences off."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Verify that photos show the same person; build and measure the models for it."""
