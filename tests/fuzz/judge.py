"""What must hold after every case, whatever it was."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Final

from tests.fuzz.case import Case, Outcome
from tests.fuzz.contents import judge_content
from tests.fuzz.runner import LONGEST_SECONDS

LARGEST_BYTES: Final = 2**30
"""By which a case may make the process grow."""

LONGEST_MESSAGE: Final = 4_000
"""Characters of an error message; the longest lists all names that there are."""

_CHECKS: Final = frozenset({"coverage", "verify"})
"""Commands that exit with 1 where a check fails, beside ``compile --check``."""

_WITH_JSON: Final = frozenset({"calibrate", "compare", "eval", "plan", "report", "solve", "study", "tree"})
_LEFT_OVER: Final = re.compile(r"(^|/)\.[^/]*(\.tmp|\.[0-9a-z_]{8})(/|$)")
_USAGE: Final = re.compile(r"(Usage: .*\nTry '.* --help' for help\.\n\n)?Error: (?P<message>.*)\n", re.DOTALL)


def judge(case: Case, outcome: Outcome) -> list[str]:
    """Return what is wrong with how a case ended; nothing if all is well."""
    return list(_judge(case, outcome))


def _judge(case: Case, outcome: Outcome) -> Iterator[str]:
    if outcome.seconds > LONGEST_SECONDS:
        yield f"it took {outcome.seconds:.1f} s of a processor"
    if outcome.grown_bytes > LARGEST_BYTES:
        yield f"the process grew by {outcome.grown_bytes / 2**20:,.0f} MiB"
    if outcome.began_work and case.fails_early:
        yield "it began to work before it noticed what is wrong"
    if outcome.escaped:
        yield f"an exception came through: {outcome.escaped.strip().splitlines()[-1]}"
    if b"Traceback" in outcome.err:
        yield "a traceback is printed"
    if not outcome.escaped and not outcome.began_work:
        yield from _judge_end(case, outcome)
    yield from _judge_files(case, outcome)
    if outcome.code == 0:
        for path, content in outcome.written.items():
            yield from judge_content(path, content)


def _judge_end(case: Case, outcome: Outcome) -> Iterator[str]:
    if outcome.code == 0:
        if case.contradicts:
            yield "sizes contradict each other, and one of them was ignored"
        if not all(line.startswith("warning: ") and line.isprintable() for line in outcome.err.decode().splitlines()):
            yield "it ended well, but something is on stderr that is no warning"
        yield from _judge_output(case, outcome)
    elif outcome.code == 1 and (_CHECKS | {"--check"}).intersection(case.arguments):
        if not outcome.out:
            yield "a check fails without a word"
    elif outcome.code == 2:
        if outcome.out:
            yield "it failed, but something is on stdout"
        yield from _judge_message(outcome.err.decode())
    else:
        yield f"the exit code {outcome.code} is not documented"


def _judge_output(case: Case, outcome: Outcome) -> Iterator[str]:
    # A table on stdout is the bytes of its file, whatever the terminal writes.
    encoding = "utf-8" if case.command == "sweep" and "-" in case.arguments else case.encoding
    try:
        text = outcome.out.decode(encoding)
    except UnicodeDecodeError as error:
        yield f"stdout is not {encoding}: {error}"
        return
    if case.command in _WITH_JSON and "--json" in case.options and not {"--help", "--version"} & case.options:
        try:
            json.loads(text)
        except ValueError as error:
            yield f"stdout is not JSON: {error}"
    elif not text.strip():
        yield "it ended well without a word"


def _judge_message(err: str) -> Iterator[str]:
    """Judge the message of a failure: one line of ours, or one below the usage of the command."""
    usage = _USAGE.fullmatch(err)
    message = usage["message"] if usage else err.removeprefix("error: ").removesuffix("\n")
    if not usage and not (err.startswith("error: ") and err.endswith("\n")):
        if not err.startswith("Usage: "):  # the help, where no argument is given
            yield f"no error message: {err[:200]!r}"
        return
    if not message.isprintable() or not message.strip():
        yield f"the message is not one line of text: {message[:200]!r}"
    if len(message) > LONGEST_MESSAGE:
        yield f"the message has {len(message):,} characters"


def _judge_files(case: Case, outcome: Outcome) -> Iterator[str]:
    for path, state in outcome.changes.items():
        if outcome.code != 0:
            yield f"it did not end well, but {path} is {state}"
        elif _LEFT_OVER.search(path):
            yield f"{path} is left over"
        elif not _may_change(outcome, path, state):
            yield f"{path} is {state}"


def _may_change(outcome: Outcome, path: str, state: str) -> bool:
    if path in outcome.owned:
        return True
    if state != "added":
        return False
    # What is in a folder that is named, and the folders above what is named.
    return any(_is_inside(path, place) or _is_inside(place, path) for place in outcome.named)


def _is_inside(path: str, outer: str) -> bool:
    return os.path.commonpath(["/" + path, "/" + outer]) == "/" + outer if outer != "." else not path.startswith("..")
