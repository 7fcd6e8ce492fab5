"""The option of commands that are of one model."""

from __future__ import annotations

from typing import Annotated

import typer

from modelmeter.model.registry import list_models


def find_model_name(value: str) -> str:
    """Return the name of a registered model; a folder that `modelmeter compile` wrote is registered first.

    Raises
    ------
    FolderError
        If the folder holds no compiled model.
    """
    if value in list_models():
        return value
    from modelmeter.frontend.compiled_folder import is_folder, open_folder

    return open_folder(value) if is_folder(value) else value


ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME|DIR",
        help="A registered model, as `modelmeter models` lists them, or a folder that `modelmeter compile` wrote.",
        callback=find_model_name,
    ),
]
