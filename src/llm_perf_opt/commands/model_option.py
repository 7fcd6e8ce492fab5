"""The option of commands that are of one model."""

from __future__ import annotations

from typing import Annotated

import typer

ModelOption = Annotated[str, typer.Option("--model", metavar="NAME", help="A registered model; `modelmeter models`.")]
