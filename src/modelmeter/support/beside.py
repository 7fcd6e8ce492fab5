"""Work that a forked process does while this one goes on: it has all that this one has loaded, and sends one result."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Final, TypeVar

from modelmeter.support.errors import ModelMeterError

Result = TypeVar("Result")

_SIGNAL_OF_PARENT: Final = 1
"""PR_SET_PDEATHSIG of Linux: what a process is sent when the one that forked it has ended."""


def can_fork() -> bool:
    """Tell whether processes can be forked, and have a core of their own."""
    # Elsewhere there is no fork, or none that is safe once libraries have threads.
    return sys.platform.startswith("linux") and len(os.sched_getaffinity(0)) > 1


@contextmanager
def run_beside(work: Callable[[], Result], *, parallel: bool, patience: int = 0) -> Iterator[Callable[[], Result]]:
    """Fork a process that does some work, and yield what waits for its result, or raises what the work does.

    Where it is not ``parallel``, nothing is forked: the work is done when its result is first asked for. So it is where
    the process cannot say what it found: it ended before, or the result or an error is none that can be sent whole.
    Whoever leaves without the result ends the process. ``patience`` is how much it gives way to others, from 0 to 19.
    """
    if not parallel:
        yield cache(work)
        return
    forking = get_context("fork")
    receiver, sender = forking.Pipe(duplex=False)
    child = forking.Process(target=_work, args=(work, patience, receiver, sender), daemon=True)
    child.start()
    sender.close()

    def wait() -> Result:
        try:
            answer: Any = receiver.recv()
        except EOFError:
            return work()
        if isinstance(answer, ModelMeterError):
            raise answer
        (result,) = answer
        return result  # type: ignore[no-any-return]  # a pipe has no types

    try:
        yield cache(wait)
    finally:
        receiver.close()
        child.kill()
        child.join()


def run_halves(works: Sequence[Callable[[], Result]], *, parallel: bool) -> list[Result]:
    """Return what each work returns, in their order; where ``parallel``, a forked process does the second half.

    What fails first in their order is what is raised.
    """
    middle = (len(works) + 1) // 2
    with run_beside(lambda: [work() for work in works[middle:]], parallel=parallel) as wait:
        return [*[work() for work in works[:middle]], *wait()]


def _work(work: Callable[[], object], patience: int, receiver: Connection, sender: Connection) -> None:
    """Send what the work returns in a tuple, or our error that it raises, and end without cleaning up."""
    receiver.close()  # else nobody else would have to read it for a result to be sent
    ctypes.CDLL(None).prctl(_SIGNAL_OF_PARENT, signal.SIGKILL)  # who is killed cannot end this process
    os.nice(patience)
    if "torch" in sys.modules:  # its threads are not forked
        sys.modules["torch"].set_num_threads(1)
    try:
        answer: object
        try:
            with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # a thread may hold the locks of both
                answer = (work(),)
        except ModelMeterError as error:
            if error.__cause__ is not None:  # which cannot be sent, and is asked what was in the way
                raise
            answer = error
        sender.send(answer)
        sender.close()
    finally:
        os._exit(0)  # what the other process has buffered, and its threads, are not of this one
