"""Line plots as SVG, which browsers and GitHub display without further files."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

WIDTH, HEIGHT = 900, 190
"""Pixels: width of a drawing, height of a panel."""
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 34, 34
"""Margins of a panel."""
LEGEND = 32
"""Height of a legend of up to two lines below the title, where panels stand side by side."""
LEGEND_LINE = 15
CHARACTER, GAP = 6.5, 14
"""Widths in a legend: of a character, about, and between two names."""
TICKS = 5
MIN_TICK_WIDTH = 60
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#e377c2", "#7f7f7f")

Line = Sequence[tuple[float, float]]
"""Points, in the order of their x."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot; its y axis starts at 0, so that growth is drawn to scale."""

    title: str
    lines: Mapping[str, Line]


def draw(file: Path, panels: Sequence[Panel], x_title: str, columns: int = 1) -> None:
    """Write panels, row by row."""
    x_top = max((x for panel in panels for line in panel.lines.values() for x, _ in line), default=0) or 1.0
    width, height = WIDTH // columns, HEIGHT + (LEGEND if columns > 1 else 0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
        f'height="{height * math.ceil(len(panels) / columns)}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        drawn = _panel(panel, x_title, x_top, (width, height))
        parts += [f'<g transform="translate({width * column} {height * row})">', *drawn, "</g>"]
    file.write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")


def _panel(panel: Panel, x_title: str, x_top: float, size: tuple[int, int]) -> list[str]:
    width, height = size
    top = TOP + height - HEIGHT
    highest = max((y for line in panel.lines.values() for _, y in line), default=0) or 1.0
    y_step = _step(highest)
    y_top = y_step * math.ceil(highest / y_step)
    bottom = height - BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + x / x_top * (width - LEFT - RIGHT),
            bottom - y / y_top * (bottom - top),
        )

    parts = [
        _text(LEFT, TOP - 16, panel.title, weight="bold"),
        _text(width - RIGHT, height - 4, x_title, "end"),
    ]
    for tick in range(round(y_top / y_step) + 1):
        _, y = place(0, tick * y_step)
        parts.append(f'<line x1="{LEFT}" x2="{width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{tick * y_step:g}", "end"))
    x_step = _step(x_top, min(TICKS, (width - LEFT - RIGHT) / MIN_TICK_WIDTH))
    parts += [
        _text(place(tick * x_step, 0)[0], bottom + 16, f"{tick * x_step:g}", "middle")
        for tick in range(int(x_top / x_step) + 1)
    ]
    right, line_y = width - RIGHT, float(TOP - 16 if top == TOP else TOP)
    for (name, line), colour in zip(reversed(list(panel.lines.items())), COLOURS, strict=False):
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line))
        parts.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="1.2"/>')
        if right - CHARACTER * len(name) < 0:
            right, line_y = width - RIGHT, line_y + LEGEND_LINE
        parts.append(_text(right, line_y, name, "end", colour))
        right -= round(CHARACTER * len(name) + GAP)
    return parts


def _step(top: float, ticks: float = TICKS) -> float:
    """Return a round step for about so many ticks up to ``top``."""
    rough = top / ticks
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def _text(
    x: float, y: float, text: str, anchor: str = "start", colour: str = "black", weight: str = "normal"
) -> str:
    how = f'text-anchor="{anchor}" fill="{colour}" font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {how}>{html.escape(text)}</text>'
