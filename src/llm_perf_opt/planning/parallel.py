"""A model on several cards: tensor and expert parallel ranks, what each holds, and what they send each other.

A group of ``tensor`` ranks holds the model once. Heads, channels and words are divided among all of them; routed
modules side by side, the experts, among ``expert`` subgroups, in each of which ``tensor / expert`` ranks divide every
expert by its channels. Where a size does not divide, the first ranks have one unit more; so the first rank has the
most of everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property
from typing import Any

from attrs import field, frozen

from llm_perf_opt.data import rules
from llm_perf_opt.evaluators import find_defaults
from modelmeter.model.serving import Serving, ShardRule, find_rule
from modelmeter.support.errors import WorkloadError

BITS_PER_BYTE = 8


@frozen(kw_only=True)
class Degrees:
    """How many ranks hold a model once.

    Parameters
    ----------
    tensor
        All of them.
    expert
        Into how many subgroups the experts are divided; it divides ``tensor``.

    Raises
    ------
    RecordError
        If one is below 1.
    WorkloadError
        If the second does not divide the first.
    """

    tensor: int = field(default=1, validator=rules.whole_number(1))
    expert: int = field(default=1, validator=rules.whole_number(1))

    def __attrs_post_init__(self) -> None:
        if self.tensor % self.expert:
            raise WorkloadError(
                "experts cannot be divided so", place="expert_parallel", expected=f"a divisor of {self.tensor}",
                found=self.expert,
            )  # fmt: skip


@frozen(kw_only=True)
class Transfer:
    """What one rank sends in all calls of one collective operation of a step.

    Parameters
    ----------
    path
        The module after which it runs.
    operation
        ``all-reduce`` or ``all-gather``.
    calls
        How often.
    payload_bytes
        The bytes of the result of all calls.
    sent_bytes
        What each rank sends at least: of a sum twice, of parts once what the other ranks have not.
    """

    path: str
    operation: str
    calls: int
    payload_bytes: Fraction
    sent_bytes: Fraction


@frozen(kw_only=True, eq=False)
class Partition:
    """The division of a model among ranks.

    Parameters
    ----------
    costs
        The generated package of the model.
    serving
        Its rules.
    degrees
        How many ranks there are.

    Raises
    ------
    WorkloadError
        If a size cannot be divided.
    """

    costs: Any
    serving: Serving
    degrees: Degrees

    def __attrs_post_init__(self) -> None:
        if self.degrees.tensor > 1 and not self.serving.shards:
            raise WorkloadError(
                "this model does not say how it is divided among cards", place=self.costs.__name__,
                expected="rules in its SERVING.shards", remedy="plan with one card for each model",
            )  # fmt: skip

    @cached_property
    def _modules(self) -> Mapping[str, Any]:
        return {module.path: module for module in self.costs.breakdown.MODULES}

    def find_share(self, path: str, rank: int) -> Fraction:
        """Return which part of the work and of the parameters of a module a rank has; 1 where each has all."""
        rule = self.find_rule(path)
        if rule is None:
            return Fraction(1)
        experts = self._find_experts(path)
        if experts is None:
            return self._divide(path, rule, rank, self.degrees.tensor)
        ranks = self.degrees.tensor // self.degrees.expert
        group, place = divmod(rank, ranks)
        return Fraction(_count(experts, group, self.degrees.expert), experts) * self._divide(path, rule, place, ranks)

    def find_rule(self, path: str) -> ShardRule | None:
        """Return the rule that divides a module, if one does."""
        return find_rule(self.serving.shards, path, self._modules[path].class_name)

    def list_weight_bits(self, rank: int, **bits: Any) -> dict[str, Fraction]:
        """Return the bits of the parameters that a rank holds, by module."""
        return {path: self.find_share(path, rank) * size for path, size in self._list_states(bits).items()}

    def count_weight_bytes(self, rank: int, **bits: Any) -> int:
        """Return the bytes of the parameters of a rank, rounded up once."""
        return -int(-sum(self.list_weight_bits(rank, **bits).values()) // BITS_PER_BYTE)

    def find_cache_share(self, rank: int) -> Fraction:
        """Return which part of the cache a rank holds.

        Its heads of keys and values of all; where they are fewer than ranks, one of them.
        """
        shares = {
            self.find_share(f"{row.path}.k_proj", rank)
            for row in self._list_rows(self.serving.stages[-1], {})
            if row.kv_cache_bits and f"{row.path}.k_proj" in self._modules
        }
        if len(shares) != 1:
            raise WorkloadError("it is not known how the cache is divided", place=self.costs.__name__)
        return shares.pop()

    def list_replicated(self, **bits: Any) -> dict[str, Fraction]:
        """Return the bits of parameters that are held more often than once, by module: what the ranks hold too much.

        The parameters of all ranks are those of the model and these.
        """
        ranks = range(self.degrees.tensor)
        found = {}
        for path, size in self._list_states(bits).items():
            extra = (sum(self.find_share(path, rank) for rank in ranks) - 1) * size
            if extra:
                found[path] = extra
        return found

    def list_transfers(self, num_tokens: int, logits_tokens: int, activation_bits: Any) -> tuple[Transfer, ...]:
        """Return what a rank sends in one step of so many tokens, of which some get logits."""
        ranks = self.degrees.tensor
        if ranks == 1:
            return ()
        found = []
        for path, module in self._modules.items():
            rule = find_rule(self.serving.collectives, path, module.class_name)
            if rule is None:
                continue
            rows = logits_tokens if rule.is_of_logits else num_tokens
            calls = self._count_modules(path)
            payload = Fraction(calls * rows * module.constructor_params[rule.channels] * activation_bits, BITS_PER_BYTE)
            rounds = 1 if rule.is_gathered else 2
            found.append(
                Transfer(
                    path=path,
                    operation="all-gather" if rule.is_gathered else "all-reduce",
                    calls=calls,
                    payload_bytes=payload,
                    sent_bytes=payload * rounds * (ranks - 1) / ranks,
                )
            )
        return tuple(found)

    def _divide(self, path: str, rule: ShardRule, rank: int, ranks: int) -> Fraction:
        units = self._find_size(path, rule.size)
        if units % ranks == 0 or (rule.may_differ and units > ranks):
            return Fraction(_count(units, rank, ranks), units)
        if rule.is_replicated and ranks % units == 0:
            return Fraction(1, units)
        divisors = ", ".join(str(each) for each in range(1, units + 1) if units % each == 0)
        raise WorkloadError(
            f"{rule.unit} cannot be divided among so many ranks", place=path,
            expected=f"a divisor of {units}: {divisors}", found=ranks,
        )  # fmt: skip

    def _find_size(self, path: str, name: str) -> int:
        above = path
        while above not in self._modules or name not in self._modules[above].constructor_params:
            above = above.rpartition(".")[0]
            if not above:
                raise WorkloadError("no module says how large it is", place=path, expected=name)
        size: int = self._modules[above].constructor_params[name]
        return size

    def _find_experts(self, path: str) -> int | None:
        """Return how many routed modules side by side a module is one of; None for one that is not routed."""
        for routed in self.serving.routed:
            above, _, below = path.partition(f".{routed.parent}.")
            if below and above in self._modules:
                experts: int = self._modules[above].constructor_params[routed.num_modules]
                return experts
        return None

    def _count_modules(self, path: str) -> int:
        count, above = 1, path
        while above:
            if above in self._modules:
                count *= self._modules[above].repetition_count
            above = above.rpartition(".")[0]
        return count

    def _list_states(self, bits: Mapping[str, Any]) -> dict[str, Any]:
        """Return the bits of parameters by module, over all stages."""
        return {
            row.path: row.weight_bits
            for stage in self.serving.stages
            for row in self._list_rows(stage, bits)
            if row.weight_bits
        }

    def _list_rows(self, stage: str, bits: Mapping[str, Any]) -> Any:
        function = getattr(self.costs.breakdown, f"{stage}_states")
        known = find_defaults(function)
        return function(**{name: size for name, size in bits.items() if name in known})


def _count(units: int, rank: int, ranks: int) -> int:
    """Return how many of some units a rank has; the first ranks have the remainder."""
    return units // ranks + (rank < units % ranks)
