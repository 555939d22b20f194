"""Draws the plug-ins' icons: `python plugins/draw_icons.py`; what it writes is committed.

A head in a frame and a spark: a portrait, enhanced. Drawn sixteen times as large and averaged
down, once in light gray for dark themes and once in dark gray for light ones.
"""

from __future__ import annotations

import math
from pathlib import Path

from PIL import Image, ImageDraw

ICONS = Path(__file__).parent / "photoshop-uxp" / "icons"
SIZES = {"panel": 23, "plugin": 24}
INKS = {"dark": (222, 222, 222), "light": (70, 70, 70)}
"""By the theme that the icon is for."""
OVERSAMPLING = 16
UNITS = 24
"""The drawing's own grid: 24 x 24."""


def ink(side: int) -> Image.Image:
    """Coverage of the drawing, 0-255, side x side."""
    scale = side * OVERSAMPLING / UNITS
    canvas = Image.new("L", (side * OVERSAMPLING,) * 2, 0)
    draw = ImageDraw.Draw(canvas)

    def oval(x: float, y: float, rx: float, ry: float, value: int) -> None:
        draw.ellipse([scale * (x - rx), scale * (y - ry), scale * (x + rx), scale * (y + ry)], fill=value)

    oval(10.5, 23.2, 8.6, 7.2, 255)  # shoulders
    oval(10.5, 10.4, 6.1, 7.3, 0)  # a gap between them and the head
    oval(10.5, 10.0, 4.9, 6.1, 255)  # head
    spark(draw, scale, 18.4, 5.6, 6.9, 0)  # a gap around the spark
    spark(draw, scale, 18.4, 5.6, 5.0, 255)
    draw.rectangle([0, scale * 22.5, scale * UNITS, scale * UNITS], fill=0)
    return canvas.resize((side, side), Image.Resampling.BOX)


def spark(draw: ImageDraw.ImageDraw, scale: float, x: float, y: float, reach: float, value: int) -> None:
    """A star of four points whose sides curve inwards (an astroid)."""
    turns = [2 * math.pi * step / 120 for step in range(120)]
    points = [(x + reach * math.cos(a) ** 3, y + reach * math.sin(a) ** 3) for a in turns]
    draw.polygon([(scale * px, scale * py) for px, py in points], fill=value)


def main() -> None:
    """Write every size for every theme."""
    ICONS.mkdir(exist_ok=True)
    for name, size in SIZES.items():
        for theme, colour in INKS.items():
            for factor, suffix in ((1, ""), (2, "@2x")):
                coverage = ink(size * factor)
                icon = Image.new("RGBA", coverage.size, (*colour, 0))
                icon.putalpha(coverage)
                icon.save(ICONS / f"{name}-{theme}{suffix}.png", optimize=True)


if __name__ == "__main__":
    main()
