"""The command of a report alone, as tests call it."""

from __future__ import annotations

from typing import Any

import typer
from typer.testing import CliRunner

from llm_perf_opt.commands.report import report


def run(*arguments: object) -> Any:
    app = typer.Typer()
    app.command()(report)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])
