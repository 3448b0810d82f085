"""A plot of learning curves: lines, bands, axes and a legend."""

from __future__ import annotations

import importlib.util
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

WIDTH, HEIGHT, DPI = 960, 540, 100
INK, GRID = "#282828", "#e2e2e2"
# Okabe & Ito, 2008: told apart by colour-blind people as well.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#787878", "#000000")


class Point(NamedTuple):
    """What several runs reached at a step: their mean, the lowest and the highest."""

    step: int
    mean: float
    low: float
    high: float


def lacking() -> str:
    """What has to be installed before anything can be drawn, in words; "" if nothing."""
    if importlib.util.find_spec("matplotlib"):
        return ""
    return "Matplotlib, which draws the plot, is missing: pip install -e '.[experiments]' brings it"


def draw(
    path: pathlib.Path, curves: Mapping[str, Sequence[Point]], *, title: str, x_label: str
) -> None:
    """Writes a PNG with one curve a name: means as a line, the runs' extremes as a band around it.

    A name without points stands in the legend as not run. Raises ModuleNotFoundError without the
    extra `experiments`.
    """
    if need := lacking():
        raise ModuleNotFoundError(need)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    # Not by pyplot, which keeps figures and asks for a screen.
    figure = Figure((WIDTH / DPI, HEIGHT / DPI), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.15, h_pad=0.15)  # inches
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for i, (name, points) in enumerate(curves.items()):
        steps, means, lows, highs = zip(*points, strict=True) if points else [()] * 4
        color = COLORS[i % len(COLORS)]
        axes.fill_between(steps, lows, highs, color=color, alpha=0.15, linewidth=0)
        # Unclipped, the first and last points are whole, but an empty curve would take room.
        (line,) = axes.plot(steps, means, "o-", color=color, markersize=5, clip_on=not points)
        line.set_label(name if points else f"{name} (not run)")
    axes.margins(x=0, y=0.06)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=GRID)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK)
    axes.set_title(title, loc="left", color=INK, pad=12)
    axes.set_xlabel(x_label, color=INK)
    figure.legend(loc="outside right upper", frameon=False)
    figure.savefig(path, format="png", metadata={"Software": None})
