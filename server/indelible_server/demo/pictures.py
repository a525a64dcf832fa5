"""The sample library: pictures that are visibly different, in several folders and formats."""

from __future__ import annotations

import colorsys
import os
from collections.abc import Iterator

from PIL import Image, ImageDraw

FOLDERS = ("2023/Harbour", "2023/Mountains", "2024/City at night", "2024/Market", "2025/Café — été", "2025/Portraits")
SIZE = (360, 240)
# Every so many pictures one that can't embed tags yet and gets a sidecar.
PNG_EVERY = 40


def draw_library(folder: str, number: int) -> Iterator[str]:
    """Draw `number` pictures below `folder`; gives each one's path below it when it is there."""
    for place in FOLDERS:
        os.makedirs(os.path.join(folder, place), exist_ok=True)
    for index in range(number):
        png = index % PNG_EVERY == PNG_EVERY - 1
        name = f"{FOLDERS[index % len(FOLDERS)]}/DSC_{index:05}.{'png' if png else 'jpg'}"
        _draw(index, number).save(os.path.join(folder, name))
        yield name


def _draw(index: int, number: int) -> Image.Image:
    """A sky, a sun and hills, their colours and places told by the index."""
    sky, ground = _colour(index / number, 0.45, 0.95), _colour(index / number + 0.45, 0.6, 0.55)
    picture = Image.new("RGB", SIZE, sky)
    draw = ImageDraw.Draw(picture)
    x, y = 20 + index * 37 % 300, 20 + index * 11 % 60
    draw.ellipse((x, y, x + 44, y + 44), fill=_colour(index / number + 0.15, 0.25, 1.0))
    for hill in range(3):
        left = (index * (53 + 17 * hill)) % SIZE[0] - 120
        top = 110 + 30 * hill
        shade = tuple(int(part * (0.6 + 0.2 * hill)) for part in ground)
        draw.ellipse((left, top, left + 330, top + 260), fill=shade)
    draw.text((10, SIZE[1] - 20), f"{index:05}", fill=(255, 255, 255))
    return picture


def _colour(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return int(red * 255), int(green * 255), int(blue * 255)
