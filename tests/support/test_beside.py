"""Work beside this process: its result or its error comes back, and where it cannot, the work is done here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from modelmeter.support.beside import can_fork, run_beside, run_halves
from modelmeter.support.errors import CountError, ModelMeterError, UnpricedOperatorError

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="nothing is forked elsewhere")

HERE = os.getpid()


def ask(work: Callable[[], Any], *, parallel: bool = True) -> Any:
    with run_beside(work, parallel=parallel) as wait:
        return wait()


def test_a_result_comes_from_another_process() -> None:
    assert ask(os.getpid) != HERE
    assert ask(os.getpid, parallel=False) == HERE
    assert ask(lambda: None) is None, "nothing is a result, too"


@pytest.mark.parametrize("parallel", [True, False])
def test_a_result_is_asked_for_twice_and_made_once(parallel: bool) -> None:
    with run_beside(lambda: [os.getpid()], parallel=parallel) as wait:
        assert wait() is wait()


def test_nothing_is_done_before_it_is_asked_for_where_nothing_is_forked() -> None:
    done: list[int] = []
    with run_beside(lambda: done.append(7), parallel=False) as wait:
        assert not done
        wait()
    assert done == [7]


def test_a_large_result_comes_whole() -> None:
    assert ask(lambda: list(range(100_003))) == list(range(100_003)), "more than a pipe holds"


def test_our_error_comes_with_all_that_it_says() -> None:
    found: dict[str, int] = {}

    def fail() -> None:
        found["here"] = os.getpid()
        error = UnpricedOperatorError("no price", path="model.layers.3", operator="linalg_solve_triangular")
        error.name_place("decode")
        raise error

    with pytest.raises(
        UnpricedOperatorError, match=r"^decode: model.layers.3: no price; found aten.linalg_solve"
    ) as it:
        ask(fail)
    assert (it.value.path, it.value.operator) == ("model.layers.3", "linalg_solve_triangular")
    assert not found, "it was raised in the other process"


def test_an_error_with_a_cause_is_raised_here_with_it() -> None:
    """What was in the way is found in the frames of the cause, which no pipe takes."""

    def fail() -> None:
        try:
            {}["gelu_7"]  # for its error
        except KeyError as error:
            raise CountError("a forward fails") from error

    with pytest.raises(CountError) as raised:
        ask(fail)
    assert isinstance(raised.value.__cause__, KeyError)


def test_an_error_that_is_not_ours_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        ask(lambda: 1 // 0)


def test_a_result_that_no_pipe_takes_is_made_here() -> None:
    assert ask(lambda: lambda: 13)() == 13


def test_work_whose_process_was_ended_is_done_here() -> None:
    def work() -> int:
        if os.getpid() != HERE:
            os.kill(os.getpid(), signal.SIGKILL)
        return 13

    assert ask(work) == 13


def test_who_leaves_without_the_result_ends_the_process(tmp_path: Path) -> None:
    file = tmp_path / "process"

    def work() -> None:
        file.write_text(str(os.getpid()), encoding="utf-8")
        time.sleep(600)

    def leave() -> None:
        with run_beside(work, parallel=True):
            while not (file.exists() and file.read_text(encoding="utf-8")):
                time.sleep(0.01)
            raise ModelMeterError("something else fails")

    with pytest.raises(ModelMeterError, match="something else"):
        leave()
    with pytest.raises(ProcessLookupError):
        os.kill(int(file.read_text(encoding="utf-8")), 0)


def test_who_is_killed_takes_the_process_along() -> None:
    program = (
        "import os, signal, time\nfrom modelmeter.support.beside import run_beside\n"
        "def work():\n    os.write(1, str(os.getpid()).encode())\n    time.sleep(600)\n"
        "with run_beside(work, parallel=True):\n    time.sleep(1)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    # It ends as nobody holds its output any more, of which the other process would for ten minutes.
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.isdigit()


def test_nothing_is_printed_twice_or_beside() -> None:
    program = (
        "import sys\nfrom modelmeter.support.beside import run_beside\n"
        "sys.stdout.write('before ')\n"
        "with run_beside(lambda: print('beside') or print('beside', file=sys.stderr), parallel=True) as wait:\n"
        "    wait()\nprint('after')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("before after\n", "")


def test_one_core_forks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3})
    assert not can_fork()
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5})
    assert can_fork()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not can_fork()


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_halves_come_in_their_order(count: int, parallel: bool) -> None:
    works = [partial(lambda number: (number, os.getpid()), number) for number in range(count)]
    found = run_halves(works, parallel=parallel)
    assert [number for number, _ in found] == list(range(count))
    assert len({process for _, process in found}) == min(count, 2 if parallel else 1)


@pytest.mark.parametrize("parallel", [False, True])
def test_what_fails_first_in_order_is_raised(parallel: bool) -> None:
    def fail(number: int) -> None:
        if number in (1, 3):
            raise CountError("it fails", place=str(number))

    with pytest.raises(CountError, match=r"^1: it fails$"):
        run_halves([partial(fail, number) for number in range(5)], parallel=parallel)
    with pytest.raises(CountError, match=r"^3: it fails$"):
        run_halves([partial(fail, number) for number in (0, 2, 3)], parallel=parallel)
