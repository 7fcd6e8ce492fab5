"""The work of steps that are not linear in what is cached: the exact mean of them, from their sum."""

from __future__ import annotations

from fractions import Fraction

from attrs import evolve

from llm_perf_opt.planning.evaluation import ServedModel
from llm_perf_opt.planning.linear_steps import WORK
from llm_perf_opt.planning.work import StageWork


def list_mean_work(served: ServedModel, batch_size: int, prompt: int, *, done: int, steps: int) -> StageWork:
    """Return the mean work of the steps after the first ``done`` of some ``steps``, exactly.

    An operator that only some of them launch counts as launched in each.

    Parameters
    ----------
    batch_size
        How many sequences there are, all of one length.
    prompt
        The cached positions of each before the first step.
    """
    fewest = served.linear_steps.fewest
    after, before = (served.list_step_rows(batch_size, prompt, count) for count in (steps, done))
    numbers = []
    for row, less in zip(after, before, strict=True):
        tensor, vector, io_bits = (Fraction(getattr(row, name) - getattr(less, name), steps - done) for name in WORK)
        numbers.append((tensor, vector, io_bits))
    # Rows have the same calls in every step, also those without work, which are left out.
    operators = served.describe_rows(served.list_step_rows(batch_size, fewest), numbers, batch_size)
    return evolve(served.list_step_work(batch_size, batch_size * fewest), operators=operators)
