"""A plot of learning curves, drawn with Pillow alone: lines, bands, axes and a legend."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 960, 540
LEFT, RIGHT, TOP, BOTTOM = 76, 190, 52, 58  # margins around the axes
FINE = 3  # drawn so many times larger, then reduced: Pillow's own lines have jagged edges
INK, GRID = (40, 40, 40), (226, 226, 226)
# Okabe & Ito, 2008: told apart by colour-blind people as well.
COLORS = [(0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167)]
COLORS += [(230, 159, 0), (86, 180, 233), (120, 120, 120), (0, 0, 0)]


class Point(NamedTuple):
    """What several runs reached at a step: their mean, the lowest and the highest."""

    step: int
    mean: float
    low: float
    high: float


class _Axes:
    """From steps and values to pixels of the large drawing."""

    def __init__(self, points: Sequence[Point]):
        self.x = _ticks(0, max((point.step for point in points), default=1))
        low = min((point.low for point in points), default=0)
        high = max((point.high for point in points), default=1)
        margin = (high - low or abs(high) or 1) * 0.06
        self.low, self.high = low - margin, high + margin
        self.y = [tick for tick in _ticks(self.low, self.high) if self.low <= tick <= self.high]
        self.last = max((point.step for point in points), default=1)

    def place(self, step: float, value: float) -> tuple[float, float]:
        x = LEFT + (WIDTH - LEFT - RIGHT) * step / self.last
        y = TOP + (HEIGHT - TOP - BOTTOM) * (self.high - value) / (self.high - self.low)
        return x * FINE, y * FINE


def draw(
    path: pathlib.Path, curves: Mapping[str, Sequence[Point]], *, title: str, x_label: str
) -> None:
    """Writes a PNG with one curve a name: means as a line, the runs' extremes as a band around it.

    A name without points stands in the legend as not run.
    """
    axes = _Axes([point for points in curves.values() for point in points])
    canvas = Image.new("RGB", (WIDTH * FINE, HEIGHT * FINE), "white")
    pen = ImageDraw.Draw(canvas, "RGBA")
    _frame(pen, axes, title, x_label)
    colors = {name: COLORS[i % len(COLORS)] for i, name in enumerate(curves)}
    for name, points in curves.items():
        upper = [axes.place(point.step, point.high) for point in points]
        lower = [axes.place(point.step, point.low) for point in points]
        if len(points) > 1:
            pen.polygon([*upper, *reversed(lower)], fill=(*colors[name], 38))
    for i, (name, points) in enumerate(curves.items()):
        line = [axes.place(point.step, point.mean) for point in points]
        if len(line) > 1:
            pen.line(line, fill=colors[name], width=2 * FINE, joint="curve")
        for x, y in line:
            pen.circle((x, y), 3.5 * FINE, fill=colors[name])
        _legend(pen, i, name if points else f"{name} (not run)", colors[name])
    canvas.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).save(path, format="PNG")


def _frame(pen: ImageDraw.ImageDraw, axes: _Axes, title: str, x_label: str) -> None:
    _, bottom = axes.place(0, axes.low)
    left, top = axes.place(0, axes.high)
    right, _ = axes.place(axes.last, axes.low)
    for tick, text in zip(axes.y, _texts(axes.y), strict=True):
        _, y = axes.place(0, tick)
        pen.line([(left, y), (right, y)], fill=GRID, width=FINE)
        pen.text((left - 10 * FINE, y), text, fill=INK, font=_font(14), anchor="rm")
    for tick, text in zip(axes.x, _texts(axes.x), strict=True):
        x, _ = axes.place(tick, axes.low)
        pen.line([(x, bottom), (x, bottom + 5 * FINE)], fill=INK, width=FINE)
        pen.text((x, bottom + 9 * FINE), text, fill=INK, font=_font(14), anchor="ma")
    pen.line([(left, top), (left, bottom), (right, bottom)], fill=INK, width=FINE)
    pen.text((left, (TOP - 14) * FINE), title, fill=INK, font=_font(17), anchor="ls")
    middle = ((left + right) / 2, (HEIGHT - 10) * FINE)
    pen.text(middle, x_label, fill=INK, font=_font(14), anchor="ms")


def _legend(pen: ImageDraw.ImageDraw, row: int, text: str, color: tuple[int, int, int]) -> None:
    x, y = (WIDTH - RIGHT + 22) * FINE, (TOP + 12 + 24 * row) * FINE
    pen.line([(x, y), (x + 24 * FINE, y)], fill=color, width=2 * FINE)
    pen.circle((x + 12 * FINE, y), 3.5 * FINE, fill=color)
    pen.text((x + 32 * FINE, y), text, fill=INK, font=_font(14), anchor="lm")


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size * FINE)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from `low` or a little below it to at most `high`, about six of them."""
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= raw * 0.999)
    return [step * i for i in range(math.floor(low / step), math.floor(high / step + 1e-9) + 1)]


def _texts(ticks: Sequence[float]) -> list[str]:
    """Ticks in words, with as many decimals as tell neighbours apart."""
    gap = ticks[1] - ticks[0] if len(ticks) > 1 else 1
    places = max(0, -math.floor(math.log10(gap) + 1e-9))
    return [f"{tick:.{places}f}" for tick in ticks]
