"""The work of stages and steps, from the generated evaluators of a registered model; the one place that calls them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from fractions import Fraction
from functools import cached_property, partial
from typing import Any

from attrs import evolve, field, frozen

from llm_perf_opt.data.rationals import Rational
from llm_perf_opt.evaluators import PEAK, find_defaults, load_costs
from llm_perf_opt.planning.parallel import BITS_PER_BYTE, Degrees, Partition
from llm_perf_opt.planning.step_lines import StepLines
from llm_perf_opt.planning.step_records import COUNTED, LineSum, StepLine
from llm_perf_opt.planning.step_work import list_mean_work
from llm_perf_opt.planning.work import (
    ATTENTION,
    ATTENTION_REST,
    UNFUSED_OPERATORS,
    OperatorWork,
    StageWork,
    find_kind,
)
from modelmeter.model.registry import DEFAULT
from modelmeter.model.serving import Serving, find_serving
from modelmeter.support.errors import WorkloadError


def _as_bits(bits: Mapping[str, Rational]) -> dict[str, Rational]:
    return dict(bits)


@frozen(kw_only=True, eq=False)
class ServedModel:
    """The evaluators of a model as a server runs them, at fixed widths.

    Parameters
    ----------
    model
        The name of a registered model.
    bits
        The storage widths: ``weight_bits``, ``activation_bits``, ``kv_bits``.
    degrees
        How many cards share the model; work and what is held are then those of the first one, which has the most.

    Raises
    ------
    UnknownNameError
        If no model of this name is registered.
    WorkloadError
        If the model does not say how it is served.
    """

    model: str = DEFAULT
    bits: Mapping[str, Rational] = field(factory=dict, converter=_as_bits)
    degrees: Degrees = Degrees()

    @cached_property
    def serving(self) -> Serving:
        """Which stages run when."""
        return find_serving(self.model)

    @cached_property
    def costs(self) -> Any:
        """The generated package."""
        return load_costs(self.model)

    @cached_property
    def partition(self) -> Partition:
        """The division among the cards that share the model."""
        return Partition(costs=self.costs, serving=self.serving, degrees=self.degrees)

    @cached_property
    def weight_bytes(self) -> int:
        """The parameters that a card holds."""
        if self.degrees.tensor == 1:
            whole: int = self.evaluate("request").weight_bytes
            return whole
        return self.partition.count_weight_bytes(0, **self.bits)

    @cached_property
    def cache_share(self) -> Fraction:
        """Which part of the cache a card holds."""
        return Fraction(1) if self.degrees.tensor == 1 else self.partition.find_cache_share(0)

    def evaluate(self, function: str, **sizes: Any) -> Any:
        """Return what an evaluator says; it gets those of the sizes and widths that it takes.

        Raises
        ------
        WorkloadError
            If the evaluator refuses a size.
        """
        return self._call(getattr(self.costs, function), sizes)

    def measure_peak(self, stage: str, **sizes: Any) -> int:
        """Return the most bytes of activations that are alive at once in a stage."""
        peak: int = self.evaluate(f"{stage}_{PEAK}", **sizes)
        return peak

    def list_stage_work(self, stage: str, *, modules: str = "*", **sizes: Any) -> StageWork:
        """Return the work of one call of a stage.

        Parameters
        ----------
        stage
            Its name.
        modules
            Only that of modules whose path fits this pattern, with ``*`` for anything.
        sizes
            As the evaluators take them.
        """
        names = self.serving
        rows = [row for row in self._list_rows(stage, sizes) if fnmatchcase(row.path, modules)]
        known = {**find_defaults(self._find_rows(stage)), **sizes}
        # Each step of a stage that runs in steps is one token of each sequence.
        # A stage over images may not know in how many sequences they stand.
        sequences = known.get(names.batch_size, 1)
        tokens = sequences * (known.get(names.seq_len or "", 1) if stage == names.prompt_stage else 1)
        pages = sequences if stage in names.page_stages[:1] else 0
        numbers = [(row.tensor_core_flops, row.cuda_core_flops, row.io_bits) for row in rows]
        return StageWork(
            stage=stage,
            operators=self.describe_rows(rows, numbers, tokens),
            host_pages=pages,
            sequences=sequences,
            looks_at_pages=stage in names.page_stages,
            sent_bytes=0 if stage in names.page_stages else self.count_sent(tokens, self._count_logits(known)),
        )

    def list_step_work(self, batch_size: int, context_tokens: Rational, *, modules: str = "*") -> StageWork:
        """Return the work of one step: a token for each sequence of a batch.

        Below the border of a window, the work is linear in the cached positions, so that it depends on their sum only,
        exactly.

        Parameters
        ----------
        batch_size
            How many sequences there are.
        context_tokens
            The cached positions of all of them together, before the step; a fraction where it is a mean.
        modules
            Only the work of modules whose path fits this pattern, with ``*`` for anything.

        Raises
        ------
        WorkloadError
            If a window is full after the mean of them.
        """
        mean, fewest = Fraction(context_tokens) / batch_size, self.step_lines.fewest
        self.step_lines.check_step(math.ceil(mean))
        line = StepLine(prompt=fewest, is_shared=True)
        return list_mean_work(self, batch_size, [LineSum(line=line, count=1, places=mean - fewest)], modules=modules)

    @cached_property
    def step_lines(self) -> StepLines:
        """Where steps are linear, from the shortest prompt on, or from nothing without one."""
        name = self.serving.seq_len
        fewest: int = 0 if name is None else self.costs.DIMENSIONS[name].minimum
        rows = partial(self.list_step_rows, 1)
        return StepLines(model=self.model, fewest=fewest, list_rows=rows, measure_cache=self.measure_cache)

    def measure_cache(self, cached: int, steps: int) -> int:
        """Return the bytes that eight sequences cache: they are whole at any whole number of bits."""
        names = self.serving
        prompt = {"seq_len": cached} if names.prompt_stage is not None else {}
        sizes = names.name_sizes(batch_size=BITS_PER_BYTE, steps=steps, **prompt)
        return int(self.evaluate(f"{names.step_stage}_kv_cache_bytes", **sizes))

    def list_step_rows(self, batch_size: int, cached: int, steps: int = 1) -> Sequence[Any]:
        """Return the rows of steps of sequences that each have so many cached positions before them."""
        names, stage = self.serving, self.serving.step_stage
        if names.prompt_stage is not None:
            return self._list_rows(stage, names.name_sizes(batch_size=batch_size, seq_len=cached, steps=steps))
        # Of a stage that reads what its steps wrote: its steps up to these, less those before.
        after, before = (
            self._list_rows(stage, names.name_sizes(batch_size=batch_size, steps=count))
            for count in (cached + steps, cached)
        )
        return [
            row._replace(**{name: getattr(row, name) - getattr(less, name) for name in COUNTED})
            for row, less in zip(after, before, strict=True)
        ]

    def _count_logits(self, known: Mapping[str, Any]) -> int:
        """Return how many positions get logits; all of a prompt, and one of each sequence of a step, unless given."""
        names = self.serving
        each: int | None = known.get(names.logits_tokens or "", 1)
        length: int = known.get(names.seq_len or "", 1)
        batch_size: int = known.get(names.batch_size, 1)
        return batch_size * (length if each is None else each)

    def count_sent(self, tokens: int, logits_tokens: int) -> Rational:
        """Return the bytes that the first card sends to others for so many tokens."""
        if self.degrees.tensor == 1:
            return 0
        transfers = self.partition.list_transfers(tokens, logits_tokens, self.bits.get("activation_bits", 16))
        return sum((transfer.sent_bytes for transfer in transfers), Fraction(0))

    @cached_property
    def _shares(self) -> dict[str, Fraction]:
        """Which part of the work of each module the first card has."""
        return {module.path: self.partition.find_share(module.path, 0) for module in self.costs.breakdown.MODULES}

    def _list_rows(self, stage: str, sizes: Mapping[str, Any]) -> Sequence[Any]:
        rows: Sequence[Any] = self._call(self._find_rows(stage), sizes)
        return rows

    def _find_rows(self, stage: str) -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(self.costs.breakdown, f"{stage}_operators")
        return found

    def _call(self, function: Any, sizes: Mapping[str, Any]) -> Any:
        known = find_defaults(function)
        given = {name: size for name, size in {**self.bits, **sizes}.items() if name in known}
        try:
            return function(**given)
        except self.costs.CostError as error:
            raise WorkloadError(str(error), place=function.__name__) from None

    def describe_rows(
        self, rows: Sequence[Any], numbers: Iterable[tuple[Rational, Rational, Rational]], tokens: int
    ) -> tuple[OperatorWork, ...]:
        """Return the work of rows of a breakdown, with FLOPs and bits of their own, at so many tokens.

        What an attention reads beside a kernel that knows positions is a row behind it: it is no launch of its own.
        """
        launched = self._count_launched(tokens)
        work: list[OperatorWork] = []
        attended: dict[str, int] = {}
        for row, (tensor, vector, io_bits) in zip(rows, numbers, strict=True):
            if not (tensor or vector or io_bits):
                continue  # never called with these sizes, or a padding of no rows
            if self.degrees.tensor > 1:
                share = self._shares[row.path]
                tensor, vector, io_bits = share * tensor, share * vector, share * io_bits
            io_bytes = divide_bits(io_bits)
            if row.operator == ATTENTION_REST:
                whole = work[attended[row.path]]
                work[attended[row.path]] = evolve(whole, io_bytes=whole.io_bytes + io_bytes)
                continue
            if row.operator == ATTENTION:
                attended[row.path] = len(work)
            work.append(
                OperatorWork(
                    kind=find_kind(row.operator),
                    tensor_core_flops=tensor,
                    cuda_core_flops=vector,
                    io_bytes=io_bytes,
                    fused_io_bytes=io_bytes if row.operator in UNFUSED_OPERATORS else 0,
                    launches=row.calls * launched.get(row.path, 1.0),
                )
            )
        return tuple(work)

    def _count_launched(self, tokens: int) -> dict[str, float]:
        """Return the expected share, by path, of modules of which some are launched for so many tokens.

        With uniform routing N tokens that take k of E modules each take E (1 - (1 - k/E)^N) distinct ones.
        """
        return {path: 1 - (1 - num_chosen / num_modules) ** tokens for path, num_modules, num_chosen in self._routed}

    @cached_property
    def _routed(self) -> tuple[tuple[str, int, int], ...]:
        """The path of every module below routed ones, with how many there are and how many a token takes."""
        modules = {module.path: module for module in self.costs.breakdown.MODULES}
        found = []
        for path in modules:
            above = path
            while above:
                name, parent = above.rpartition(".")[2], above.rpartition(".")[0]
                for routed in self.serving.routed:
                    parameters = modules[parent].constructor_params if parent in modules else {}
                    if name == routed.parent and routed.num_modules in parameters:
                        found.append((path, parameters[routed.num_modules], parameters[routed.num_chosen]))
                above = parent
        return tuple(found)


def divide_bits(bits: Rational) -> Rational:
    """Return the bytes of so many bits: an integer where they are whole."""
    if isinstance(bits, int) and not bits % BITS_PER_BYTE:
        return bits // BITS_PER_BYTE
    return simplify(Fraction(bits) / BITS_PER_BYTE)


def simplify(number: Rational) -> Rational:
    """Return an integer for a fraction that is one."""
    return number.numerator if isinstance(number, Fraction) and number.denominator == 1 else number
