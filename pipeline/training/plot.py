"""The history of a training as a picture."""

from __future__ import annotations

from pathlib import Path

from pipeline.training.networks.learning import JUDGED_AT, History


def plot_history(history: History, path: Path) -> None:
    """Loss and how well people held out are told apart, by epoch, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    left = figure.add_subplot(xlabel="epoch", ylabel="loss")
    right = left.twinx()
    right.set_ylabel(f"TAR at FMR {JUDGED_AT:g}, people held out")
    left.plot(range(1, len(history.loss) + 1), history.loss, color="tab:blue", label="loss")
    right.plot(range(len(history.held_out)), history.held_out, color="tab:orange", label="held out")
    right.axvline(history.best, color="gray", linestyle=":", label="kept")
    figure.legend(loc="outside upper center", ncols=3)
    figure.savefig(path, format="png")
