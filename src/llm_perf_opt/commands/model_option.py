"""The options of commands that are of one model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelmeter.model.registry import list_models


def find_model_name(value: str) -> str:
    """Return the name of a registered model; a folder that `modelmeter compile` wrote is registered first.

    Raises
    ------
    FolderError
        If the folder holds no compiled model, or if this is the name of one that can be compiled and is not yet.
    """
    if value in list_models():
        return value
    from modelmeter.frontend.compiled_folder import FolderError, is_folder, open_folder
    from modelmeter.frontend.configs.sources import has_modules

    if is_folder(value):
        return open_folder(value)
    from modelmeter.frontend.cards.shipped import CARDS  # it takes sympy, which a registered model may do without

    if value in CARDS or has_modules(value):
        raise FolderError(
            "this model is not compiled", place="--model", found=value,
            remedy=f"compile it first, modelmeter compile {value} --out DIR, and name the folder, --model DIR",
        )  # fmt: skip
    return value


ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME|DIR",
        help="A registered model, as `modelmeter models` lists them, or a folder that `modelmeter compile` wrote.",
        callback=find_model_name,
    ),
]

GraphOption = Annotated[
    Path | None, typer.Option("--graph", metavar="FILE", help="Start from this saved module graph; without torch.")
]
