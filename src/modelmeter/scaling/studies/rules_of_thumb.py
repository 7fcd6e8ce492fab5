"""Rules of thumb and how wrong they are: 2N a token, 6ND a training step, the cache, a batch as large as r."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

import sympy

from modelmeter.dimensions.functions import IntegerFunction
from modelmeter.model.loop import Loop
from modelmeter.model.stages import REQUEST, TRAINING_STEP
from modelmeter.scaling.compiled_formulas import CompiledFormulas
from modelmeter.scaling.quantity import Quantity
from modelmeter.scaling.sources import stage
from modelmeter.scaling.studies.asking import Worded, ask_crossover
from modelmeter.scaling.studies.asking_more import ask_rule
from modelmeter.scaling.studies.experts import count_active_parameters
from modelmeter.scaling.studies.parts import name_following, stage_metric
from modelmeter.scaling.studies.pictures import draw, log_range, write_where
from modelmeter.scaling.studies.presence import needs_sizes
from modelmeter.scaling.studies.records import ClosedForm, Finding, Study, Subject
from modelmeter.scaling.studies.words import write_percent

ID: Final = "rules-of-thumb"
_LONGEST: Final = 2**17
"""Errors are bounded up to this length."""

_ERRORS: Final = (Fraction(1, 100), Fraction(1, 20), Fraction(1, 10), Fraction(1, 4), Fraction(1, 2), Fraction(1))


def _find(subject: Subject) -> Iterator[Finding]:
    model = subject.model
    training = model.definition.training
    if training is not None and training.run in model.definition.stage_names:
        yield from _ask_two_per_token(model, training.run)
        yield from _ask_six_per_token(model, training.run)
    loop = model.definition.loop
    if loop is not None and {"batch_size", "seq_len"} <= model.defaults.keys():
        yield from _ask_decode(model, loop)
    if {
        "num_hidden_layers",
        "num_key_value_heads",
        "hidden_size",
        "num_attention_heads",
        "decode_steps",
    } <= model.defaults.keys():
        yield from _ask_cache(model)


def _rule(model: CompiledFormulas, formula: sympy.Expr, text: str, unit: str = "FLOPs") -> Worded:
    context = stage(model, REQUEST).metric("tensor_core_flops").context
    return Worded(Quantity(formula=formula, name=text, unit=unit, context=context), f"the rule of {text}")


def _ask_errors(name: str, exact: Worded, rule: Worded, over: str) -> Iterator[Finding]:
    """Yield from where on the exact cost is more than the rule by so much."""
    yield ask_rule(f"{ID}/{name}-error", rule, exact, over, bounds={over: (1, _LONGEST)})
    for error in _ERRORS:
        more = Worded(rule.quantity * (1 + error), f"what {rule.words} gives, with {write_percent(error)} added,")
        less = Worded(rule.quantity * (1 - error), f"what {rule.words} gives, with {write_percent(error)} taken off,")
        low, high = (f"{ID}/{name}-{way}-by-{error.numerator}-of-{error.denominator}" for way in ("low", "high"))
        found = [ask_crossover(low, exact, more, over)]
        if error < 1:
            found.append(ask_crossover(high, less, exact, over))
        # The bounds of the error say already what it never is.
        yield from (each for each in found if getattr(each.statement, "outcome", "") != "never")


def _ask_two_per_token(model: CompiledFormulas, name: str) -> Iterator[Finding]:
    size = model.definition.dimensions.symbol
    active = count_active_parameters(model, name)
    exact = name_following(stage_metric(model, name, "tensor_core_flops"), "seq_len")
    formula = 2 * active * size("batch_size") * size("seq_len")
    rule = _rule(model, formula, f"2 FLOPs for each of {active:,} active parameters and each token")
    yield ClosedForm(words="the exact cost of the prefill over 2N a token, N being the active parameters",
        formula=_ratio(exact, rule, "seq_len"), unit="",
        where=write_where([exact], "seq_len"))  # fmt: skip
    yield from _ask_errors("2n-a-token-prefill", exact, rule, "seq_len")
    yield draw(
        "2n-a-token", "The prefill, and 2N a token", {"exact": exact, "2N a token": rule}, "seq_len", "FLOPs",
        log_range(256, 2**18),
    )  # fmt: skip


def _ask_decode(model: CompiledFormulas, loop: Loop) -> Iterator[Finding]:
    size = model.definition.dimensions.symbol
    active = count_active_parameters(model, loop.stage)
    exact = stage_metric(model, loop.stage, "tensor_core_flops")
    formula = 2 * active * size("batch_size") * loop.count
    rule = _rule(model, formula, f"2 FLOPs for each of {active:,} active parameters and each new token")
    yield ClosedForm(words="the exact cost of decoding over 2N a token, N being the active parameters",
        formula=_ratio(exact, rule, "seq_len"), unit="",
        where=write_where([exact], "seq_len"))  # fmt: skip
    yield from _ask_errors("2n-a-token-decode", exact, rule, "seq_len")


def _ask_six_per_token(model: CompiledFormulas, name: str) -> Iterator[Finding]:
    size = model.definition.dimensions.symbol
    active = count_active_parameters(model, name)
    exact = name_following(stage_metric(model, TRAINING_STEP, "tensor_core_flops"), "seq_len")
    formula = 6 * active * size("batch_size") * size("seq_len")
    rule = _rule(model, formula, f"6 FLOPs for each of {active:,} active parameters and each token")
    yield ClosedForm(words="the exact cost of a training step over 6ND, N being the active parameters of the decoder",
        formula=_ratio(exact, rule, "seq_len"), unit="",
        where=write_where([exact], "seq_len"))  # fmt: skip
    yield from _ask_errors("6nd-training-step", exact, rule, "seq_len")


def _ask_cache(model: CompiledFormulas) -> Iterator[Finding]:
    size = model.definition.dimensions.symbol
    heads, width = size("num_key_value_heads"), size("hidden_size") / size("num_attention_heads")
    tokens = size("seq_len") + size("decode_steps")
    formula = 2 * size("num_hidden_layers") * heads * width * size("kv_bits") / 8 * size("batch_size") * tokens
    rule = _rule(model, formula, "2 L H d bytes an element and token", "bytes")
    exact = stage_metric(model, REQUEST, "kv_cache_bytes")
    for over in ("seq_len", "batch_size", "max_new_tokens"):
        yield ask_crossover(f"{ID}/cache-2lhd-at-least", exact, rule, over)
        yield ask_crossover(f"{ID}/cache-2lhd-at-most", rule, exact, over)


def _ratio(exact: Worded, rule: Worded, over: str) -> sympy.Expr:
    """Return the ratio in partial fractions; brackets, as of windows that are full, and roundings stay as they are."""
    ratio = exact.quantity / rule.quantity
    formula, _ = ratio.context.fill(ratio.formula, ratio.values, [over])
    (free,) = (each for each in formula.free_symbols if each.name == over)
    opaque = {found: sympy.Dummy(integer=True, nonnegative=True) for found in formula.atoms(IntegerFunction)}
    fractions = sympy.apart(sympy.together(sympy.expand(formula.xreplace(opaque))), free)
    return fractions.xreplace({stand_in: found for found, stand_in in opaque.items()})


STUDY: Final = Study(
    id=ID, title="Rules of thumb",
    question="How far are the rules that people use from the exact cost, and from which size on?",
    answers=(
        r"rules-of-thumb/.*-error/rule_of_thumb/seq_len",
    ),
    find=_find, explain_absence=needs_sizes("batch_size", "seq_len"),
)  # fmt: skip
