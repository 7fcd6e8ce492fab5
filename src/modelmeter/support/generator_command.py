"""What commands that write generated pages do: write them or check them, and say in one line what is wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from modelmeter.support.errors import ModelMeterError
from modelmeter.support.generated_files import StaleError, check_files, write_files


def run_generator(
    render: Callable[[], Mapping[str, str]], folder: Path, *, checks: bool, command: str, target: Path
) -> int:
    """Write files, or check them; return the exit status: 1 where something is wrong, which is printed.

    Parameters
    ----------
    render
        It returns the files: text by path inside the folder.
    checks
        Whether to write nothing, and to fail if a file is not what it should be.
    command, target
        What writes the files, and what its ``--out`` is, for the message.
    """
    try:
        files = render()
        if checks:
            check_files(files, folder)
        else:
            write_files(files, folder)
    except StaleError as error:
        print(f"{error.diff}\n{target} is stale; run {command} --out {target}", file=sys.stderr)
        return 1
    except ModelMeterError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
