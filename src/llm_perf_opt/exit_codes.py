"""How a command line ends: an error of ours, or an output that cannot be written, is one line on stderr."""

from __future__ import annotations

import atexit
import codecs
import io
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, Final, NoReturn

import typer

from modelmeter.support.errors import ModelMeterError, OutputError
from modelmeter.support.files import describe_failure

_ESCAPE: Final = "modelmeter.escape"
"""How characters are written that an encoding has not."""

_INTERRUPTED: Final = 130
"""What typer makes of Ctrl-C."""

_LONGEST: Final = 2000
"""Characters of a message; a longer one, with a path or a name of thousands, loses its middle."""


_USAGE_ERROR: Final[type[Exception]] = typer.BadParameter.__mro__[1]
"""What typer raises where arguments are wrong; it is public by its heirs only."""


def run_to_end(app: Callable[..., object]) -> NoReturn:
    """Run a command line. An error ends in one line and exit code 2; a failed check in exit code 1."""
    _print_any_character()
    try:
        code = app(standalone_mode=False)  # what a command returns: nothing, or the code that it exits with
        if code == _INTERRUPTED:
            typer.echo("interrupted", err=True)
        sys.exit(code if isinstance(code, int) else 0)
    except _USAGE_ERROR as error:
        _print_usage_error(error)
    except ModelMeterError as error:
        print_error(error)
    except OSError as error:
        # Commands turn those of files into errors of ours. What is left is the standard output, as on a full disk.
        print_error(OutputError("the output cannot be written", found=describe_failure(error)))
    sys.exit(2)


def run_process(main: Callable[[], NoReturn]) -> NoReturn:
    """Run ``main`` as all that this process does; where it loaded torch, the process ends at once.

    To take apart what torch, transformers and sympy have made takes a second, and nobody sees what comes of it.
    """
    try:
        main()
    except SystemExit as ended:
        if "torch" not in sys.modules or not isinstance(ended.code, int) or threading.active_count() > 1:
            raise
        atexit._run_exitfuncs()  # temporary folders are removed there
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except OSError:
            raise ended from None  # Python says what it says of any program
        os._exit(ended.code)


def print_error(error: ModelMeterError) -> None:
    """Print an error on stderr."""
    _print("error", str(error))


def print_warning(warning: str) -> None:
    """Print a warning on stderr."""
    _print("warning", warning)


def _print(kind: str, text: str) -> None:
    typer.echo(f"{kind}: {_shorten(text)}", err=True)


def _print_usage_error(error: Any) -> None:
    """Print what typer says about wrong arguments, under the usage of the command."""
    if error.ctx is None or error.message != error.ctx.get_help():  # the help is what it says where there are none
        error.message = _shorten(error.message)
    error.show()


def _shorten(message: str) -> str:
    """Return a message that fits on a screen, without what could steer it: it quotes what comes from elsewhere."""
    message = "".join(character if character.isprintable() else "?" for character in message)
    return message if len(message) <= _LONGEST else f"{message[: _LONGEST // 2]} ... {message[-_LONGEST // 2 :]}"


def _print_any_character() -> None:
    r"""Let the standard output write what its encoding has not as ``\u1234``, as in JSON; by default that is an error.

    So does Python on stderr. A name of bytes that are no text is such a character in any encoding.
    """
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors=_ESCAPE)


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2)), error.end


codecs.register_error(_ESCAPE, _escape)
