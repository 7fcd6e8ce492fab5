"""The points at which a traced model is counted without symbols."""

from __future__ import annotations

import random
from collections.abc import Sequence

from modelmeter.frontend.cards.card import ImageSize
from modelmeter.frontend.positions import SHORTEST_PROMPT
from modelmeter.frontend.records import NO_WINDOWS, Windows


def choose_points(
    seed: str,
    count: int,
    *,
    images: Sequence[ImageSize] = (),
    windows: Windows = NO_WINDOWS,
    longest: int | None = None,
    shortest: int = SHORTEST_PROMPT,
) -> list[dict[str, int]]:
    """Return sizes to count at: a batch of one, the shortest prompt, and then such as chance has it.

    ``images`` are the sizes of images, if there are any. With ``windows`` of attention, there are two more for each:
    points are on both sides of where it is full, and on the border. ``longest`` is how many positions there are room
    for, and ``shortest`` the tokens of the shortest prompt.
    """
    chance = random.Random(seed)
    points = [
        {"batch_size": 1, "seq_len": chance.randint(3, 700), "decode_steps": chance.randint(1, 300)},
        {"batch_size": chance.randint(2, 7), "seq_len": shortest, "decode_steps": 1},
    ]
    while len(points) < count:
        points.append(
            {
                "batch_size": chance.randint(2, 7), "seq_len": chance.randint(3, 700),
                "decode_steps": chance.randint(1, 300),
            }
        )  # fmt: skip
    beyond, border = _surround(windows, chance)
    points = [*beyond, points[0], *border, *points[1:]][: count + 2 * len(beyond)]
    for point in points:
        point["seq_len"] = max(point["seq_len"], shortest)
    if longest is not None:
        for point in points:
            point["seq_len"] = min(point["seq_len"], longest // 2)
            point["decode_steps"] = min(point["decode_steps"], longest - longest // 2)
    if images:
        for point in points:
            point |= {size.name: chance.randint(size.least, size.most) for size in images}
            point["prompt_tokens"] = 1
    return points


def _surround(windows: Windows, chance: random.Random) -> tuple[list[dict[str, int]], list[dict[str, int]]]:
    """Return points beyond each window, and such as have one just full, or one position short of it.

    A step after a prompt of one position less than the window sees a window of them.
    """
    beyond, border = [], []

    def draw(seq_len: int, decode_steps: int, batch_size: int | None = None) -> dict[str, int]:
        return {
            "batch_size": batch_size or chance.randint(2, 7), "seq_len": seq_len, "decode_steps": decode_steps
        }  # fmt: skip

    for window in windows.sizes:
        beyond.append(draw(window + chance.randint(1, 700), chance.randint(1, 300)))
        border += [draw(window - 1, 1), draw(window, 1), draw(window - 2, 1, batch_size=1)]
    for chunk in windows.chunks:
        beyond.append(draw(chunk + chance.randint(1, 700), chance.randint(1, 300)))
        border += [draw(chunk, 1), draw(chunk + 1, 1), draw(2 * chunk, 1, batch_size=1)]
    if windows.behind_prompt is not None:
        window = windows.behind_prompt
        beyond.append(draw(chance.randint(3, 700), window + chance.randint(1, 300)))
        border += [draw(chance.randint(3, 700), steps) for steps in (window, window - 1, 2, window + 1)]
    return beyond, border
