"""How a command line ends: an error of ours, or an output that cannot be written, is one line on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

import typer

from modelmeter.errors import ModelMeterError, OutputError
from modelmeter.files import describe_failure


def run_to_end(app: Callable[[], object]) -> NoReturn:
    """Run a command line. An error ends in one line and exit code 2; a failed check in exit code 1."""
    try:
        app()
    except ModelMeterError as error:
        print_error(error)
    except OSError as error:
        # Commands turn those of files into errors of ours. What is left is the standard output, as on a full disk.
        print_error(OutputError("the output cannot be written", found=describe_failure(error)))
    sys.exit(2)


def print_error(error: ModelMeterError) -> None:
    """Print an error on stderr."""
    _print("error", str(error))


def print_warning(warning: str) -> None:
    """Print a warning on stderr."""
    _print("warning", warning)


def _print(kind: str, text: str) -> None:
    # A file from elsewhere could steer the terminal with what is quoted from it.
    message = "".join(character if character.isprintable() else "?" for character in text)
    typer.echo(f"{kind}: {message}", err=True)
