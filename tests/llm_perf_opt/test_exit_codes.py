"""How a command line ends, whatever is quoted in its messages and its output."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from command_line import Run, assert_refused

from llm_perf_opt.exit_codes import run_to_end
from modelmeter.support.errors import OutputError


def end(app: Callable[..., object]) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        run_to_end(app)
    return ended.value.code


@pytest.mark.parametrize(
    ("encoding", "expected"), [("utf-8", "ü 世 \U0001f600"), ("ascii", r"\u00fc \u4e16 \ud83d\ude00")]
)
def test_what_an_encoding_has_not_is_written_as_in_json(
    monkeypatch: pytest.MonkeyPatch, encoding: str, expected: str
) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", out)
    assert end(lambda **_: print("ü 世 \U0001f600")) == 0
    out.seek(0)
    assert out.read() == f"{expected}\n"


def test_a_name_that_is_no_text_can_be_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python makes a half character of a byte in an argument that is not UTF-8."""
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    monkeypatch.setattr(sys, "stdout", out)
    assert end(lambda **_: print("\udcff.csv: 3 points")) == 0
    out.seek(0)
    assert out.read() == "\\udcff.csv: 3 points\n"


def test_a_long_message_loses_its_middle(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(**_: object) -> None:
        raise OutputError("no", place=5_000 * "x", remedy="do this")

    assert end(fail) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: xxx")
    assert err.endswith("xxx: no; do this\n")
    assert len(err) < 2_100


@pytest.mark.parametrize("text", ["\u202eevil", "\x1b[31m", "\xa0", "a\nb"])
@pytest.mark.parametrize("arguments", [("--{}",), ("{}",), ("show", "linear", "{}"), ("tree", "--{}=1")])
def test_wrong_arguments_do_not_steer_the_terminal(run: Run, arguments: tuple[str, ...], text: str) -> None:
    result = run(*(argument.format(text) for argument in arguments))
    assert (result.code, result.out) == (2, "")
    usage, hint, blank, message = result.err.splitlines()
    assert usage.startswith("Usage: ")
    assert (hint.endswith("--help' for help."), blank) == (True, "")
    assert message.startswith("Error: ")
    assert message.isprintable()


def test_no_arguments_show_the_help(run: Run) -> None:
    result = run()
    assert (result.code, result.out) == (2, "")
    assert result.err.count("\n") > 20
    assert re.search(r"^  sweep +Evaluate a stage", result.err, re.MULTILINE)


def test_a_long_path_is_one_short_line(run: Run) -> None:
    result = run("tree", "--graph", 9_000 * "x")
    assert_refused(result, "File name too long")
    assert len(result.err) < 2_100


_PROCESS = """
import atexit, sys, types
from llm_perf_opt.exit_codes import run_process

class Late:
    def __del__(self):
        print("taken apart", flush=True)

sys.modules["torch"] = types.ModuleType("torch")
if not {torch}:
    del sys.modules["torch"]
late = Late()
atexit.register(print, "last")

def main():
    print("all of it" * 3, end="")
    sys.exit(3)

run_process(main)
"""


@pytest.mark.parametrize(("has_torch", "ends"), [(True, ""), (False, "taken apart\n")])
def test_a_process_with_torch_ends_without_taking_apart_what_it_made(has_torch: bool, ends: str) -> None:
    """What was printed is there all the same, and what was to be done last is done."""
    ran = subprocess.run(
        [sys.executable, "-c", _PROCESS.format(torch=has_torch)], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (3, "")
    assert ran.stdout == "all of itall of itall of itlast\n" + ends
