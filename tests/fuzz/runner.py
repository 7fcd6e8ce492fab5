"""Runs cases: in this process, within limits, or in one of their own."""

from __future__ import annotations

import io
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn
from unittest import mock

from attrs import evolve
from tests.fuzz import sandbox
from tests.fuzz.case import Case, Outcome

from llm_perf_opt import cli

LONGEST_SECONDS: Final = 10
"""A case that takes more of a processor is a defect; it is ended then. A busy machine may take any time over it."""

LONGEST_WAIT: Final = 100
"""Seconds after which a case that waits for something is ended."""

LARGEST_GROWTH: Final = 4 * 2**30
"""Bytes of address space by which a case may grow; beyond them memory is refused."""

_SLOW_COMMANDS: Final = frozenset({"compile", "trace", "verify"})
_ROOT: Final = "../root"


class TooSlowError(BaseException):
    """The case ran into its time limit. No command catches it."""


class WorkBeganError(BaseException):
    """The command went on to trace the modules, which takes long and is not what is tried here."""


def run_inside(case: Case) -> Outcome:
    """Run a case in this process."""
    with _make_sandbox(case) as (here, owned), _keep_process(case, here):
        named = _find_named(case, here)
        before = _take_stock(here)
        largest, start = _measure_peak(), time.process_time()
        with nullcontext() if case.works or not _SLOW_COMMANDS.intersection(case.arguments) else _stop_at_work():
            outcome = _call_main(case.arguments, case.encoding)
        seconds, grown_bytes = time.process_time() - start, _measure_peak() - largest
        changes = sandbox.compare(before, _take_stock(here))
        return evolve(
            outcome, seconds=seconds, grown_bytes=grown_bytes, changes=changes,
            written=sandbox.read_changed(here, changes), owned=owned, named=named,
        )  # fmt: skip


def run_apart(case: Case) -> Outcome:
    """Run a case in a Python of its own, as a user does."""
    with _make_sandbox(case) as (here, owned):
        named = _find_named(case, here)
        before = _take_stock(here)
        program = "import sys; sys.argv[0] = 'modelmeter'; from llm_perf_opt.cli import main; main()"
        environment = {**os.environ, "LLM_PERF_OPT_ROOT": os.path.abspath(here / _ROOT), **case.environment}
        environment["PYTHONIOENCODING"] = f"{case.encoding}:strict"
        start = _measure_children()
        process = subprocess.run(
            [sys.executable, "-P", "-c", program, *case.arguments],
            cwd=here, capture_output=True, check=False, timeout=LONGEST_WAIT,
            env={name: value for name, value in environment.items() if value is not None},
            preexec_fn=lambda: _limit_child(case.largest_file),
        )  # fmt: skip
        seconds = _measure_children() - start
        changes = sandbox.compare(before, _take_stock(here))
        return Outcome(
            code=process.returncode, out=process.stdout, err=process.stderr.decode(case.encoding).encode(),
            seconds=seconds, changes=changes,
            written=sandbox.read_changed(here, changes), owned=owned, named=named,
        )  # fmt: skip


def can_run_apart(case: Case) -> bool:
    """Tell whether a case is quick, and can be typed at all."""
    return not _SLOW_COMMANDS.intersection(case.arguments) and not any("\0" in word for word in case.arguments)


def _call_main(arguments: tuple[str, ...], encoding: str) -> Outcome:
    """Return how the command line ends with these arguments, and what it prints."""
    out, err = io.BytesIO(), io.BytesIO()
    with (
        mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO())),
        mock.patch.object(sys, "stdout", io.TextIOWrapper(out, encoding)),
        mock.patch.object(sys, "stderr", io.TextIOWrapper(err, "utf-8", "backslashreplace")),
        mock.patch.object(sys, "argv", ["modelmeter", *arguments]),
    ):
        code, escaped, began_work = _find_end()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        return Outcome(code=code, out=out.getvalue(), err=err.getvalue(), escaped=escaped, began_work=began_work)


def _find_end() -> tuple[int | None, str, bool]:
    """Return the exit code, the traceback of what came through, and whether work began."""
    signal.setitimer(signal.ITIMER_PROF, LONGEST_SECONDS)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_WAIT)
    try:
        cli.main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else None
        return code, "" if code is not None else f"exit with {ended.code!r}", False
    except WorkBeganError:
        return None, "", True
    except BaseException:  # whatever it is, it is what is looked for
        return None, traceback.format_exc(), False
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def _make_sandbox(case: Case) -> Iterator[tuple[Path, frozenset[str]]]:
    """Make the folder of a case; yields it, and which files in it an earlier run has written."""
    base = Path(os.path.realpath(tempfile.mkdtemp(prefix="fuzz-")))
    try:
        here = sandbox.fill(base, case.files)
        yield here, _run_earlier(case, here) if case.earlier else frozenset()
    finally:
        sandbox.empty(base)


def _run_earlier(case: Case, here: Path) -> frozenset[str]:
    before = _take_stock(here)
    with _keep_process(Case(arguments=case.earlier), here):
        ended = _call_main(case.earlier, "utf-8")
    if ended.code != 0:
        raise RuntimeError(f"the earlier run fails: {ended}")
    written = _take_stock(here)
    sandbox.put(here, case.between)
    strange = sandbox.compare(written, _take_stock(here))
    return frozenset(sandbox.compare(before, written).keys() - strange.keys())


def _take_stock(here: Path) -> dict[str, str]:
    return sandbox.take_stock(here.parents[2])


@contextmanager
def _keep_process(case: Case, here: Path) -> Iterator[None]:
    """Set what a process has, and put it back."""
    files, memory = resource.getrlimit(resource.RLIMIT_FSIZE), resource.getrlimit(resource.RLIMIT_AS)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGPROF)}
    folder, environment = os.getcwd(), dict(os.environ)

    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise TooSlowError

    os.chdir(here)
    os.environ["LLM_PERF_OPT_ROOT"] = os.path.abspath(_ROOT)
    for name, value in case.environment.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    signal.signal(signal.SIGALRM, end)
    signal.signal(signal.SIGPROF, end)
    _limit_files(case.largest_file)
    resource.setrlimit(resource.RLIMIT_AS, (_measure_address_space() + LARGEST_GROWTH, memory[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, memory)
        resource.setrlimit(resource.RLIMIT_FSIZE, files)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)


@contextmanager
def _stop_at_work() -> Iterator[None]:
    """End a command where it would begin to trace."""

    def stop(*_: object, **__: object) -> NoReturn:
        raise WorkBeganError

    with (
        mock.patch("modelmeter.models.deepseek_ocr.trace_reference.trace_reference", stop),
        mock.patch("modelmeter.models.deepseek_ocr.trace_artifacts.trace_artifacts", stop),
    ):
        yield


def _limit_child(largest_file: int | None) -> None:
    _limit_files(largest_file)
    resource.setrlimit(resource.RLIMIT_AS, (2 * LARGEST_GROWTH, 2 * LARGEST_GROWTH))


def _limit_files(largest: int | None) -> None:
    if largest is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def _find_named(case: Case, here: Path) -> frozenset[str]:
    """Return the paths that the arguments and the root name, links followed, below the working directory."""
    words = {word for argument in case.arguments for word in (argument, argument.partition("=")[2])}
    root = case.environment.get("LLM_PERF_OPT_ROOT", _ROOT)
    here_is_named = {"."} if "" in case.arguments else set()
    places = {*words - {""}, *here_is_named, "codegen", *([f"{root}/tmp"] if root else [])}
    return frozenset(os.path.relpath(os.path.realpath(here / place), here) for place in places if "\0" not in place)


def _measure_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _measure_peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _measure_address_space() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
