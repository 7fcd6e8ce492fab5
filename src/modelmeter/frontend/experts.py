"""Experts of a mixture: what their loop costs, learned from the loop itself, and put in its place in a trace.

Which experts the tokens choose depends on numbers that a trace does not have. The loop over experts of transformers is
run apart, with chosen experts as real integers and all else on the meta device. What it does is bilinear in the tokens
and in the distinct experts that they choose; four runs give the coefficients, and further runs with experts that are
drawn by chance have to agree. In a trace the loop is replaced by one function that takes note of its place, through
the interface that transformers has for other implementations of experts.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from attrs import frozen
from torch import Tensor, nn
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

from modelmeter.dimensions.functions import Size, ceil_div, exceeds, routed_reads
from modelmeter.frontend.bilinear import Bilinear, fit_alive, fit_sums
from modelmeter.frontend.kinds import describe_kind
from modelmeter.frontend.operator_parts import list_alive, list_moved, list_parts, make_operator
from modelmeter.frontend.real_integers import RealIntegers
from modelmeter.frontend.recording import NOTED, record_forward
from modelmeter.frontend.records import TracedForward
from modelmeter.frontend.tracing import read_recording
from modelmeter.metrics.cost import KINDS, Elements, Operator
from modelmeter.support.errors import CountError
from modelmeter.verify.known_results import KnownForward

STAND_IN: Final = "modelmeter"
"""The name of the implementation that takes note of its place and does nothing."""

FRESH_POINTS: Final = 4
"""At how many points with experts drawn by chance the loop is counted again."""


@frozen(kw_only=True)
class ExpertCosts:
    """What the loop over the experts of a module does.

    Parameters
    ----------
    experts, per_token
        How many there are, and how many a token chooses.
    operators
        The names of its operators, each with a formula for every number of an :class:`Operator`.
    alive
        For operators of which any may be the peak, elements that are alive inside the loop: in tokens (``tokens``), in
        the tokens of one expert (``experts``), and in distinct experts (``both``).
    points
        At how many points with experts drawn by chance the loop was equal.
    """

    experts: int
    per_token: int
    operators: tuple[tuple[str, dict[str, Bilinear]], ...]
    alive: tuple[dict[str, Bilinear], ...]
    points: int

    def list_operators(self, tokens: Size) -> tuple[Operator, ...]:
        """Return the operators for ``tokens`` tokens, with the expected number of distinct experts."""

        def choose(weight: Size) -> Size:
            return routed_reads(self.experts, self.per_token, tokens, weight)

        return tuple(
            make_operator(name, {part: formula.expect(tokens, choose) for part, formula in formulas.items()})
            for name, formulas in self.operators
        )

    def list_alive(self, tokens: Size) -> tuple[Elements, ...]:
        """Return the elements alive inside, with even shares of the tokens for the experts."""
        chosen = self.per_token * tokens
        share = ceil_div(chosen, self.experts)
        distinct = chosen - exceeds(chosen, self.experts) * (chosen - self.experts)
        return tuple(
            Elements(
                **{
                    kind: each.constant + each.tokens * tokens + each.experts * share + each.both * distinct
                    for kind, each in kinds.items()
                }
            )
            for kinds in self.alive
        )


@frozen(kw_only=True)
class _Call:
    """What a module of experts is called with: shapes without the tokens, and types."""

    hidden_shape: tuple[int, ...]
    index_shape: tuple[int, ...]
    hidden_type: torch.dtype
    weight_type: torch.dtype


_CALLS: dict[nn.Module, _Call] = {}
_LEARNED: dict[Any, ExpertCosts] = {}


def _stand_in(module: nn.Module, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
    if NOTED:
        known = _LEARNED.get(_key(module, top_k_index.shape[-1]))
        if known is None:
            raise CountError("experts whose loop was not counted", place=type(module).__name__)
        NOTED[-1].insert(known, hidden_states.shape[0])
    else:
        _CALLS[module] = _Call(
            hidden_shape=tuple(hidden_states.shape[1:]), index_shape=tuple(top_k_index.shape[1:]),
            hidden_type=hidden_states.dtype, weight_type=top_k_weights.dtype,
        )  # fmt: skip
    return torch.empty_like(hidden_states)


ALL_EXPERTS_FUNCTIONS.register(STAND_IN, _stand_in)


def _key(module: nn.Module, per_token: int) -> Any:
    """Return what tells what the loop does: an activation of another kind has no parameters, and costs other FLOPs."""
    return describe_kind(module), tuple(held.dtype for held in module.parameters()), int(per_token)


def learn_experts(model: nn.Module, run: Callable[[], object], *, is_checked: bool = True) -> tuple[ExpertCosts, ...]:
    """Count the loops over experts of all modules that ``run`` calls, so that they can be noted in traces.

    Where it ``is_checked``, they are counted at points with experts drawn by chance too, and what is alive as well.

    Raises
    ------
    CountError
        If a loop is not bilinear in the tokens and in the distinct experts that they choose.
    """
    _CALLS.clear()
    with torch.inference_mode(), KnownForward():
        run()
    found: dict[Any, ExpertCosts] = {}
    for module, call in _CALLS.items():
        key = _key(module, call.index_shape[-1])
        known = _LEARNED.get(key)
        if known is None or (is_checked and not known.points):
            known = _LEARNED[key] = _learn(module, call, points=FRESH_POINTS if is_checked else 0)
        found[key] = known
    _CALLS.clear()
    return tuple(found.values())


def describe_experts(learned: Sequence[ExpertCosts]) -> dict[str, str]:
    """Return the counting rule for experts, where there are any."""
    if not learned:
        return {}
    points = sum(each.points for each in learned)
    return {
        "Expert weights": "What the loop over experts does is bilinear in the tokens and in the distinct experts that "
        f"they choose: it was counted apart, with chosen experts, and was equal at {points} points with experts drawn "
        "by chance. With uniform routing, $N$ tokens that choose $k$ of $E$ experts each are expected to choose "
        r"$E \left(1 - (1 - k/E)^N\right)$ distinct ones, of which the weights are read; with "
        "``expert_routing='even'`` it is the upper bound $\\min(E, k N)$. FLOPs do not depend on this. For peaks, "
        "experts take even shares of the tokens."
    }


def _learn(module: nn.Module, call: _Call, *, points: int) -> ExpertCosts:
    per_token, experts = call.index_shape[-1], int(module.num_experts)  # type: ignore[arg-type]  # a number
    place = type(module).__name__
    if not 1 <= per_token <= experts:
        raise CountError("a token cannot choose as many experts", place=place, found=per_token)

    def count(tokens: int, distinct: int) -> TracedForward:
        """Run the loop with tokens that choose ``distinct`` experts in turn."""
        chosen = torch.arange(tokens * per_token).reshape(tokens, per_token) % distinct
        return _run_loop(module, call, chosen)

    shares = _list_even_shares(experts, per_token)
    even = [count(*point) for point in shares]
    if len(shares) == 4:
        grid, counts = shares, [_sum_up(counted) for counted in even]
    else:  # tokens choose all experts, or both of two
        least = max(per_token, min(2, experts - 1))
        grid = [(tokens, distinct) for distinct in (least, experts) for tokens in (5, 7)]
        counts = [_sum_up(count(*point)) for point in grid]
    owners = {key[0]: None for counted in counts for key in counted}
    keys = {key: None for counted in counts for key in counted}
    formulas = {key: fit_sums([counted.get(key, 0) for counted in counts], grid, place) for key in keys}
    chance = random.Random(f"{type(module).__qualname__} {per_token} {experts}")
    for point in range(points):
        # A loop over few experts takes less time, and says as much: one point draws from all of them.
        tokens = chance.randint(2, 12 if point else 6)
        pool = chance.sample(range(experts), min(experts, 2 * per_token)) if point else range(experts)
        drawn = [chance.sample(pool, per_token) for _ in range(tokens)]
        seen = _sum_up(_run_loop(module, call, torch.tensor(drawn)))
        distinct = len({each for row in drawn for each in row})
        derived = {key: value for key, formula in formulas.items() if (value := formula.at(tokens, distinct))}
        if derived != {key: value for key, value in seen.items() if value}:
            raise CountError(
                "the loop over experts is not bilinear in tokens and distinct experts",
                place=place, found=f"{tokens} tokens, {distinct} experts",
            )  # fmt: skip
    return ExpertCosts(
        experts=experts,
        per_token=per_token,
        operators=tuple(
            (owner[0], {part: formula for (held, part), formula in formulas.items() if held == owner})
            for owner in owners
        ),
        alive=_learn_alive(even, [distinct for _, distinct in shares[::2]], per_token, place) if points else (),
        points=points,
    )


def _run_loop(module: nn.Module, call: _Call, chosen: Tensor) -> TracedForward:
    tokens = chosen.shape[0]
    hidden = torch.empty(tokens, *call.hidden_shape, dtype=call.hidden_type, device="meta")
    weights = torch.empty(tokens, *call.index_shape, dtype=call.weight_type, device="meta")
    config: Any = module.config
    before, config._experts_implementation = config._experts_implementation, "eager"
    try:
        with RealIntegers():
            recording = record_forward(module, lambda: module(hidden, chosen, weights), given=(hidden, chosen, weights))
    finally:
        config._experts_implementation = before
    return read_recording(recording, {})


Owner = tuple[str, tuple[str, ...]]
"""The name of an operator, and the kinds of elements that it reads and writes: a cast is not merged with a copy."""

Sums = dict[tuple[Owner, str], int]


def _sum_up(forward: TracedForward) -> Sums:
    """Return every number of all operators of a name, by name and number."""
    sums: Sums = {}
    for traced in forward.operators:
        parts = list_parts(traced.operator)
        owner = traced.operator.name, list_moved(parts)
        for part, size in parts.items():
            if size:
                sums[owner, part] = sums.get((owner, part), 0) + int(size)
    return sums


def _list_even_shares(experts: int, per_token: int) -> list[tuple[int, int]]:
    """Return tokens and distinct experts that have even shares of them, for one or two numbers of experts."""
    few = min(max(per_token, 2), experts)
    return [
        (tokens, number) for number in dict.fromkeys((few, min(few + 1, experts))) for tokens in (number, 2 * number)
    ]


def _learn_alive(
    seen: Sequence[TracedForward], distinct: Sequence[int], per_token: int, where: str
) -> tuple[dict[str, Bilinear], ...]:
    """Return what is alive inside beside each operator of the first turns of the loop, of even shares."""
    alive = [list_alive(forward) for forward in seen]
    names = [[traced.operator.name for traced in forward.operators] for forward in seen]
    length = next(
        (place for place, each in enumerate(zip(*names, strict=False)) if len(set(each)) > 1), min(map(len, names))
    )
    formulas: dict[tuple[tuple[str, Bilinear], ...], None] = {}
    for place in range(length):
        kinds = {kind: fit_alive([each[place][kind] for each in alive], distinct, per_token, where) for kind in KINDS}
        formulas[tuple(kinds.items())] = None
    return tuple(map(dict, formulas))
