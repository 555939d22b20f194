"""What was measured, kept as JSON and shown as a table and a chart: docs/benchmarks.{json,md,svg}."""

from __future__ import annotations

import json
import os
import platform
from html import escape
from pathlib import Path
from typing import Any

from bridge.engine.device import choose

DOCS = Path(__file__).parents[2] / "docs"
KEPT, TOLD, DRAWN = DOCS / "benchmarks.json", DOCS / "benchmarks.md", DOCS / "images" / "benchmarks.svg"
BAR, STEP, LABELS, WIDTH = 14, 34, 20, 760
"""Pixels of the chart: a bar's height, from row to row, left margin, width."""
AT_TARGET = 480
"""Where in the chart the target lies."""

RATIOS = ("times", "%", "copies")
"""Units of what was compared within one run."""
SLACK = 0.25
"""How much a ratio may grow before it counts; below that share of its target none does."""

Figures = dict[str, Any]


def keep(name: str, figures: list[Figures]) -> None:
    """Replace one row's figures, and draw page and chart anew."""
    content: Figures = json.loads(KEPT.read_text()) if KEPT.exists() else {"rows": {}}
    content["rows"][name] = {"machine": machine(), "figures": figures}
    KEPT.write_text(json.dumps(content, indent=1) + "\n")
    TOLD.write_text(page(content))
    DRAWN.write_text(chart(content))


def slipped(name: str, figures: list[Figures]) -> list[str]:
    """What of a row is worse than kept by more than `SLACK`: ratios alone, seconds tell of the machine."""
    if not KEPT.exists():
        return []
    rows: Figures = json.loads(KEPT.read_text())["rows"]
    kept = {figure["what"]: figure for figure in rows.get(name, {}).get("figures", ())}
    return [
        f"{now['what']}: {_number(now['value'])} {now['unit']}, kept {_number(kept[now['what']]['value'])}"
        for now in figures
        if now["unit"] in RATIOS
        and now["target"] is not None
        and now["what"] in kept
        and now["value"] > max(kept[now["what"]]["value"], SLACK * now["target"]) * (1 + SLACK)
    ]


def machine() -> str:
    """What it was measured on, in words."""
    processor, python = choose("cpu").title, platform.python_version()
    return f"{processor}, {os.cpu_count()} processors, {platform.system()}, Python {python}"


def page(content: Figures) -> str:
    """docs/benchmarks.md."""
    machines = sorted({row["machine"] for row in content["rows"].values()})
    lines = [
        "# Benchmarks",
        "",
        "Written by `python -m benchmarks.endtoend --write`; change nothing here by hand. Each figure is a",
        "median of things done in turns in one run. CPU is processor time of the whole process, all threads.",
        "A 512 network has random weights here, which cost the same as real ones; 24 and 45 megapixel photos",
        "are one portrait enlarged, with grain.",
        "",
        f"Measured on: {'; '.join(machines)}.",
        "",
        "![Each figure as a share of its target](images/benchmarks.svg)",
        "",
        "| what | of its target | measured | at most |",
        "|---|---|---|---|",
    ]
    for figure in targeted(content):
        share = figure["value"] / figure["target"]
        shown = f"{share:.0%}" if share <= 1 else f"**{share:.0%}**"
        lines.append(
            f"| {figure['what']} | {shown} | {_number(figure['value'])} {figure['unit']} "
            f"| {figure['target']:g} {figure['unit']} |"
        )
    lines += ["", "## Where it goes", "", "| row | part | measured |", "|---|---|---|"]
    for name, row in content["rows"].items():
        for figure in row["figures"]:
            if figure["target"] is not None:
                lines += [
                    f"| {name} | {part} | {_number(value)} |" for part, value in figure["detail"].items()
                ]
    lines += ["", "## How it grows", "", "| what | measured | with |", "|---|---|---|"]
    for figure in all_figures(content):
        if figure["target"] is None:
            parts = "; ".join(f"{part} {_number(value)}" for part, value in figure["detail"].items())
            lines.append(f"| {figure['what']} | {_number(figure['value'])} {figure['unit']} | {parts} |")
    return "\n".join(lines) + "\n"


def chart(content: Figures) -> str:
    """An SVG of bars: each figure that has a target as a share of its target, which is a line."""
    figures = targeted(content)
    height = STEP * len(figures) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="12"><rect width="{WIDTH}" height="{height}" fill="#fff"/>'
    ]
    for index, figure in enumerate(figures):
        share, top = figure["value"] / figure["target"], 24 + STEP * index
        length = min(AT_TARGET * max(share, 0), WIDTH - LABELS - 40)
        colour = "#3a7d5c" if share <= 1 else "#b5482f"
        parts.append(f'<text x="{LABELS}" y="{top}" fill="#222">{escape(figure["what"])}</text>')
        parts.append(
            f'<rect x="{LABELS}" y="{top + 4}" width="{length:.0f}" height="{BAR}" fill="{colour}"/>'
            f'<text x="{LABELS + length + 4:.0f}" y="{top + 15}" fill="#222">{share:.0%}</text>'
        )
    at = LABELS + AT_TARGET
    parts.append(f'<line x1="{at}" y1="6" x2="{at}" y2="{height - 6}" stroke="#222" stroke-dasharray="3 3"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def all_figures(content: Figures) -> list[Figures]:
    """Of every row, in order."""
    return [figure for row in content["rows"].values() for figure in row["figures"]]


def targeted(content: Figures) -> list[Figures]:
    """Those that have a target."""
    return [figure for figure in all_figures(content) if figure["target"] is not None]


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
