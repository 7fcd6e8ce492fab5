"""Bodies of functions: cheap checks first, then steps, then results."""

from __future__ import annotations

from modelmeter.algebra.simplify import build_program
from modelmeter.backends.python.function import write_cost, write_metric
from modelmeter.backends.python.signature import Derivation, Parameter, Signature
from modelmeter.core.functions import exceeds
from modelmeter.core.symbols import symbol

PROMPT, LOGITS, SIDE = symbol("seq_len"), symbol("logits_tokens"), symbol("base_size")


def make_signature(*parameters: Parameter) -> Signature:
    return Signature(parameters=parameters, has_routing=False, constants={"sam_patch_size": 9})


def test_one_metric_is_checked_and_returned() -> None:
    program = build_program({"output": SIDE**2 / 8})
    lines = write_metric("output", make_signature(Parameter(name="base_size", default=175)), program)
    assert lines == (
        "    if not (type(base_size) is int and base_size > 0):",
        '        base_size = check_size("base_size", base_size, 1)',
        "    if base_size < 9:",
        '        raise too_small("base_size", base_size, "sam_patch_size", 9)',
        "    return -(-(base_size * base_size) // 8)",
    )


def test_a_derived_size_is_filled_in_before_it_is_compared() -> None:
    signature = make_signature(
        Parameter(name="seq_len", default=331),
        Parameter(name="logits_tokens", default=331, derivation=Derivation(code="seq_len", words="all")),
    )
    program = build_program({"one": PROMPT * LOGITS, "other": exceeds(PROMPT * LOGITS, 5)})
    assert write_cost("cost", signature, program, {"flops": "one", "bytes": "other"}) == (
        "    if not (type(seq_len) is int and seq_len > 0):",
        '        seq_len = check_size("seq_len", seq_len, 1)',
        "    if logits_tokens is None:",
        "        logits_tokens = seq_len",
        "    elif not (type(logits_tokens) is int and logits_tokens > 0):",
        '        logits_tokens = check_size("logits_tokens", logits_tokens, 1)',
        "    if logits_tokens > seq_len:",
        '        raise too_large("logits_tokens", logits_tokens, "seq_len", seq_len)',
        "    x1 = seq_len * logits_tokens",
        "    flops = x1",
        "    bytes = 1 if x1 > 5 else 0",
        "    return Cost((flops, bytes))",
    )


def test_what_must_not_be_negative_is_tested_before_it_is_used() -> None:
    program = build_program({"one": PROMPT, "guard": PROMPT - SIDE})
    signature = make_signature(Parameter(name="base_size", default=175), Parameter(name="seq_len", default=331))
    lines = write_cost("cost", signature, program, {"flops": "one"}, {"guard": "seq_len - base_size"})
    assert lines[-5:] == (
        '        raise too_small("base_size", base_size, "sam_patch_size", 9)',
        "    if seq_len - base_size < 0:",
        '        raise CostError("the sizes make seq_len - base_size negative")',
        "    flops = seq_len",
        "    return Cost((flops))",
    )
