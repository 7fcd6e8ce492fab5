"""Cases: their corners, their points and the text of their domains."""

from __future__ import annotations

import pytest
import sympy
import torch
from attrs import evolve
from tiny import SHALLOW, TINY

from modelmeter.models.deepseek_ocr.proofs import reference_cases
from modelmeter.models.deepseek_ocr.proofs.trace_sizes import BATCH_SIZE, EARLIER_TOKENS, LOGITS_TOKENS, K, positive
from modelmeter.support.errors import CountError
from modelmeter.verify.case import Case
from modelmeter.verify.integer_facts import Domain
from modelmeter.verify.symbolic_trace import Forward, TorchSize, trace_matrix_products


def test_values_that_are_too_small_for_a_symbol_are_cases_of_their_own() -> None:
    case = reference_cases.make_prefill_case(TINY, least={BATCH_SIZE: 1, EARLIER_TOKENS: 0})
    corners = {(corner.sizes["batch_size"], corner.sizes["seq_len"]) for corner in case.corners()}
    assert corners == {
        (batch, LOGITS_TOKENS + earlier) for batch in (BATCH_SIZE, 1) for earlier in (EARLIER_TOKENS, 0, 1)
    }


def test_a_domain_says_what_is_fixed_what_varies_and_what_is_left_out() -> None:
    case = reference_cases.make_page_case(TINY, 16 * (28 * K + 5), batch_size=1, assumed=(sympy.Ne(K, 7),))
    domain = Domain(least=dict.fromkeys(case.symbols, 2), excluded={K: frozenset({4, 3})})
    text = case.describe(domain)
    cast = "activation_bits and weight_bits other than 32; kv_bits as activation_bits"
    assert text.startswith("batch_size = 1; vision_batch_size = 1; images_per_prompt = 1; base_size = 448*k + 80; ")
    assert text.endswith(f"; k >= 2; text_tokens >= 2; k != 3; k != 4; k != 7; {cast}")
    plain = evolve(case, casts=False).describe(domain)
    assert plain == text.replace(cast, "activation_bits, weight_bits and kv_bits = 32")


def test_a_case_in_float32_has_numbers_for_the_widths_and_casts_nothing() -> None:
    case = reference_cases.make_decode_case(SHALLOW, least={})
    plain = evolve(case, casts=False)
    assert case.widths == {}
    assert plain.widths == {"weight_bits": 32, "activation_bits": 32, "kv_bits": 32}
    # Each of three norms casts to float32 and back, the angles of the one layer are cast from positions and twice to
    # activations, and the logits once to float32. Numbers are made of positions in either case.
    assert (case.run().operators["_to_copy"], plain.run().operators["_to_copy"]) == (10, 1)


def test_a_point_leaves_out_the_assumptions_that_hold_at_it() -> None:
    n = positive("n")
    case = evolve(
        reference_cases.make_page_case(TINY, 16 * (28 * K + 5)), assumed=(sympy.Ne(K, 7), sympy.Ne(n, 28 * K + 5))
    )
    point = case.at(K, 2)
    assert point.assumed == (sympy.Ne(n, 61),)
    assert point.inputs["base_size"] == 976
    assert K not in point.symbols


def test_inputs_are_polynomials_in_the_symbols_of_the_trace() -> None:
    seen: list[TorchSize] = []

    def build(sizes: dict[str, TorchSize]) -> Forward:
        model = torch.nn.Linear(2, 3)
        seen.append(sizes["constant"])
        return Forward(model=model, run=lambda: model(torch.empty(sizes["rows"], 2)))

    rows = 5 * K**2 * BATCH_SIZE + 7 * K - 3
    inputs = {"rows": rows, "constant": 11}
    case = Case(name="rows", trace=trace_matrix_products, inputs=inputs, build=build, sizes={}, stages=())
    assert sympy.expand(case.run().costs[""].tensor_core_flops - 12 * rows) == 0
    assert seen == [11]
    with pytest.raises(CountError, match="a size to trace is not a polynomial"):
        evolve(case, inputs={"rows": K / 2, "constant": 11}).run()
