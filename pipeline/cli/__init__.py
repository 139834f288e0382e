"""`python -m pipeline`: one module for each command, imported only when it is called."""

from __future__ import annotations

import importlib
from typing import cast

import click

COMMANDS = {
    "verify": "pipeline.cli.verify",
    "weights": "pipeline.cli.weights",
    "fit": "pipeline.cli.fit",
    "fit-occlusion": "pipeline.cli.fit_occlusion",
    "train": "pipeline.cli.train",
    "augment": "pipeline.cli.augment",
    "forget-photos": "pipeline.cli.forget_photos",
    "calibrate": "pipeline.cli.calibrate",
    "lfw": "pipeline.cli.lfw",
    "evaluate": "pipeline.cli.evaluate",
    "simulate": "pipeline.cli.simulate",
    "experiments": "pipeline.cli.experiments",
    "bench": "pipeline.cli.bench",
}


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
        return cast(click.Command, importlib.import_module(COMMANDS[cmd_name]).command)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Verify that photos show the same person; build and measure the models for it."""
