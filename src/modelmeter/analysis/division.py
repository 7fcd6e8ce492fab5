"""What a rank of a tensor- and expert-parallel group holds, writes and sends, with both degrees as symbols.

Of ``U`` units, rank ``r`` of ``n`` has ``ceil((U - r) / n)``: the first ranks have the remainder. Over all ranks that
adds up to ``U`` (Hermite's identity), so that what the ranks have together is the model and what is replicated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import sympy
from attrs import frozen

from modelmeter.analysis.bind import BoundModule
from modelmeter.analysis.breakdown import OperatorRow, StateRow, list_states
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import Size, ceil_div, floor_div
from modelmeter.dimensions.sums import bits_to_bytes
from modelmeter.dimensions.symbols import Dimension
from modelmeter.metrics.cost import Precision
from modelmeter.model.definition import Model
from modelmeter.model.serving import Serving, ShardRule, find_rule
from modelmeter.support.errors import FormulaError, WorkloadError

TENSOR_PARALLEL_SIZE = Dimension(
    name="tensor_parallel_size", kind="workload", unit="ranks", meaning="ranks that hold the model once between them"
)
EXPERT_PARALLEL_SIZE = Dimension(
    name="expert_parallel_size", kind="workload", unit="groups",
    meaning="groups of ranks that the experts are divided among; it divides tensor_parallel_size",
)  # fmt: skip
RANK = Dimension(
    name="rank", kind="workload", unit="", minimum=0, meaning="the number of a rank, from 0; the first has the most"
)


@frozen(kw_only=True)
class Divided:
    """A size of which each rank has a part.

    Parameters
    ----------
    place
        The module.
    unit
        What is divided.
    size
        How many there are.
    is_of_experts
        Whether it is divided in each group of ranks only, since the experts are divided among the groups.
    may_differ, is_replicated
        As of the rule; without either the number of ranks has to divide the size.
    """

    place: str
    unit: str
    size: Size
    is_of_experts: bool
    may_differ: bool
    is_replicated: bool

    def check(self, values: Mapping[str, int]) -> None:
        """Refuse degrees that do not divide the size as the rule allows.

        Raises
        ------
        WorkloadError
            If they do not.
        """
        units, ranks = evaluate(self.size, values), values[TENSOR_PARALLEL_SIZE.name]
        if self.is_of_experts:
            ranks //= values[EXPERT_PARALLEL_SIZE.name]
        if units % ranks and not (self.may_differ and units > ranks) and not (self.is_replicated and not ranks % units):
            raise WorkloadError(
                f"{self.unit} cannot be divided among so many ranks", place=self.place,
                expected=f"a divisor of {units}", found=ranks,
            )  # fmt: skip


@frozen(kw_only=True)
class RankFormulas:
    """What a rank has; the formulas hold for the degrees that every one of ``divided`` allows.

    Parameters
    ----------
    weight_bytes
        Its parameters.
    kv_cache_bytes
        Its part of what the prompt stage leaves in the cache.
    activation_bytes
        What the operators of its part write, by stage.
    sent_bytes
        What it sends at least in one call, by stage: of a sum twice its part, of parts what the others have not. A
        stage in steps is one step.
    divided
        What is divided, by module.
    """

    weight_bytes: sympy.Expr
    kv_cache_bytes: sympy.Expr
    activation_bytes: Mapping[str, sympy.Expr]
    sent_bytes: Mapping[str, sympy.Expr]
    divided: tuple[Divided, ...]

    def check(self, values: Mapping[str, int]) -> None:
        """Refuse degrees, beside the sizes of the architecture, for which the formulas do not hold.

        Raises
        ------
        WorkloadError
            If a size cannot be divided so, or the groups of experts do not divide the ranks.
        """
        ranks, groups = values[TENSOR_PARALLEL_SIZE.name], values[EXPERT_PARALLEL_SIZE.name]
        if ranks % groups:
            raise WorkloadError(
                "experts cannot be divided so", place=EXPERT_PARALLEL_SIZE.name, expected=f"a divisor of {ranks}",
                found=groups,
            )  # fmt: skip
        for each in self.divided:
            each.check(values)


class Division:
    """The division of a bound model among ranks.

    Parameters
    ----------
    model
        The root of the bound modules.
    serving
        The rules.
    """

    def __init__(self, model: BoundModule, serving: Serving) -> None:
        self._serving = serving
        self._modules = {bound.node.path: bound for bound in model.walk()}
        self._divided: dict[str, Divided] = {}

    def make_formulas(
        self,
        states: tuple[StateRow, ...],
        operators: tuple[OperatorRow, ...],
        *,
        num_tokens: Mapping[str, Size],
        logits_tokens: Mapping[str, Size],
    ) -> RankFormulas:
        """Return the formulas of one rank.

        Parameters
        ----------
        states, operators
            What modules hold and do.
        num_tokens, logits_tokens
            The rows of one call of a stage, and those of them that get logits; nothing is sent in other stages.

        Raises
        ------
        FormulaError
            If a rule names a size that no module has, or it is not known how the cache is divided.
        """
        weights = {row.path: row.weight_bytes for row in states}
        prompt = self._serving.stages[-1]
        caches = {row.path: row.kv_cache_bytes for row in states if row.stage == prompt and row.kv_cache_bytes != 0}
        stages = dict.fromkeys(row.stage for row in operators)
        activations = {
            stage: [self.find_share(row.path) * row.cost.activation_bytes for row in operators if row.stage == stage]
            for stage in stages
        }
        return RankFormulas(
            weight_bytes=sympy.Add(*(self.find_share(path) * size for path, size in weights.items())),
            kv_cache_bytes=sympy.Add(*(self._find_cache_share(path) * size for path, size in caches.items())),
            activation_bytes={stage: sympy.Add(*terms) for stage, terms in activations.items()},
            sent_bytes={
                stage: sympy.Add(*self._list_sent(rows, logits_tokens[stage])) for stage, rows in num_tokens.items()
            },
            divided=tuple(self._divided.values()),
        )

    def find_share(self, path: str) -> sympy.Expr:
        """Return which part of a module a rank has; 1 where each has all of it."""
        rule = find_rule(self._serving.shards, path, self._modules[path].node.class_name)
        if rule is None:
            return sympy.Integer(1)
        rank, ranks = RANK.symbol, TENSOR_PARALLEL_SIZE.symbol
        experts = self._find_experts(path)
        if experts is None:
            return self._divide(path, rule, rank, ranks)
        groups = EXPERT_PARALLEL_SIZE.symbol
        ranks = floor_div(ranks, groups)
        group = floor_div(rank, ranks)
        place = rank - ranks * group
        return ceil_div(experts - group, groups) / experts * self._divide(path, rule, place, ranks)

    def _divide(self, path: str, rule: ShardRule, rank: sympy.Expr, ranks: sympy.Expr) -> sympy.Expr:
        units = sympy.sympify(self._find_size(path, rule.size))
        self._divided[path] = Divided(
            place=path,
            unit=rule.unit,
            size=units,
            is_of_experts=ranks != TENSOR_PARALLEL_SIZE.symbol,
            may_differ=rule.may_differ,
            is_replicated=rule.is_replicated,
        )
        if rule.may_differ:
            return ceil_div(units - rank, ranks) / units
        # The ranks divide the units; or, of those that are replicated, the units divide the ranks and each has one.
        return ceil_div(units, ranks) / units

    def _find_cache_share(self, path: str) -> sympy.Expr:
        keys = f"{path}.k_proj"
        if keys not in self._modules:
            raise FormulaError("it is not known how the cache is divided", place=path, expected=keys)
        return self.find_share(keys)

    def _list_sent(self, rows: Size, logits_rows: Size) -> Iterator[sympy.Expr]:
        ranks, bits = TENSOR_PARALLEL_SIZE.symbol, Precision().activation_bits
        for path, bound in self._modules.items():
            rule = find_rule(self._serving.collectives, path, bound.node.class_name)
            if rule is None:
                continue
            channels = getattr(bound.layer, rule.channels)
            sent = bits_to_bytes(bound.count * (logits_rows if rule.is_of_logits else rows) * channels * bits)
            yield (1 if rule.is_gathered else 2) * sent * (ranks - 1) / ranks

    def _find_size(self, path: str, name: str) -> Size:
        above = path
        while above:
            if above in self._modules and hasattr(self._modules[above].layer, name):
                size: Size = getattr(self._modules[above].layer, name)
                return size
            above = above.rpartition(".")[0]
        raise FormulaError("no module says how large it is", place=path, expected=name)

    def _find_experts(self, path: str) -> Size | None:
        for routed in self._serving.routed:
            above, _, below = path.partition(f".{routed.parent}.")
            if below and above in self._modules:
                experts: Size = getattr(self._modules[above].layer, routed.num_modules)
                return experts
        return None


def make_rank_formulas(
    model: BoundModule, definition: Model, serving: Serving, operators: tuple[OperatorRow, ...]
) -> RankFormulas:
    """Return the formulas of a rank, of one call over the prompts of a batch and of one step of it.

    Raises
    ------
    WorkloadError
        If the model does not say how it is divided.
    """
    if not serving.shards or serving.seq_len is None or serving.logits_tokens is None:
        raise WorkloadError(
            "this model does not say how it is divided among cards", place=definition.name,
            expected="rules in its SERVING.shards",
        )  # fmt: skip
    size, prompt, step = definition.dimensions.symbol, serving.stages[-1], serving.step_stage
    sequences = size(serving.batch_size)
    return Division(model, serving).make_formulas(
        list_states(model, definition.stage_of, definition.loop),
        operators,
        num_tokens={prompt: sequences * size(serving.seq_len), step: sequences},
        logits_tokens={prompt: sequences * size(serving.logits_tokens), step: sequences},
    )
