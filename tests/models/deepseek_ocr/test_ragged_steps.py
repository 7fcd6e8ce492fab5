"""Steps of a serving engine: against counts of the reference model at points, and against each other."""

from __future__ import annotations

import pytest
import torch

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import bounded_routed_reads
from modelmeter.graph.dtypes import default_dtype
from modelmeter.metrics.cost import Cost, Precision, Work
from modelmeter.metrics.metric import METRICS
from modelmeter.metrics.operator_table import ATTENTION
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.proofs.server_steps import prove_server_steps
from modelmeter.models.deepseek_ocr.reference import DeepseekOCRForCausalLM, build_reference
from modelmeter.models.deepseek_ocr.reference_cache import KeyValueCache
from modelmeter.models.deepseek_ocr.server_steps import cost_chunk, cost_step, server_sizes
from modelmeter.verify.counting import ForwardCount, count_forward

ARCHITECTURE = DeepSeekOCRArchitecture(
    num_hidden_layers=3, hidden_size=12, num_attention_heads=3, num_key_value_heads=1, intermediate_size=23,
    moe_intermediate_size=7, n_routed_experts=5, num_experts_per_tok=2, n_shared_experts=1, vocab_size=29,
)  # fmt: skip
FORMULA_SIZES = server_sizes()
BITS = {"weight_bits": 7, "activation_bits": 13, "kv_bits": 11}
PRECISION = Precision(**BITS)
COUNTED = tuple(metric for metric in METRICS if metric != "weight_bytes")  # the towers have weights, too


@pytest.fixture(scope="module")
def model() -> DeepseekOCRForCausalLM:
    return build_reference(ARCHITECTURE, expert_routing="even")


def count(
    model: DeepseekOCRForCausalLM, *, batch_size: int, positions: int, cached: int, logits_tokens: int
) -> ForwardCount:
    """Count a forward of so many positions of each sequence behind those that are cached."""
    cache = KeyValueCache(
        ARCHITECTURE, batch_size=batch_size, capacity=cached + positions, device="meta", dtype=torch.bfloat16
    )
    cache.hold(cached)
    tokens = torch.empty(batch_size, positions, dtype=torch.int64, device="meta")
    with default_dtype(torch.bfloat16):
        return count_forward(model, lambda: model(tokens, cache, logits_tokens=logits_tokens), cache=cache.tensors)


def weigh(work: Work, kv_elements: int) -> Cost:
    return Cost.of(work=work, parameters=0, kv_elements=kv_elements, precision=PRECISION)


def value(cost: Cost, **sizes: int) -> dict[str, object]:
    known = {**ARCHITECTURE.dimension_values(), **BITS, **sizes}
    return {metric: evaluate(cost[metric], known, routed_reads=bounded_routed_reads) for metric in COUNTED}


# An expert's share is whole at the first, and not at the others.
@pytest.mark.parametrize(
    ("batch_size", "positions", "cached", "logits_tokens"), [(5, 3, 11, 1), (1, 7, 101, 7), (3, 13, 1, 5)]
)
def test_a_chunk_is_what_the_reference_does_behind_a_cache(
    model: DeepseekOCRForCausalLM, batch_size: int, positions: int, cached: int, logits_tokens: int
) -> None:
    counted = count(model, batch_size=batch_size, positions=positions, cached=cached, logits_tokens=logits_tokens)
    ours = value(
        cost_chunk(FORMULA_SIZES),
        batch_size=batch_size, seq_len=positions, cached_tokens=cached, logits_tokens=logits_tokens,
    )  # fmt: skip
    theirs = weigh(counted.work, counted.kv_elements)
    assert ours == {metric: theirs[metric] for metric in COUNTED}


def test_a_chunk_without_logits_leaves_out_the_head_and_its_cast(model: DeepseekOCRForCausalLM) -> None:
    counted = count(model, batch_size=3, positions=7, cached=11, logits_tokens=5)
    work = Work.of(operator for operator in counted.operators if operator.path.startswith("model"))
    ours = value(cost_chunk(FORMULA_SIZES), batch_size=3, seq_len=7, cached_tokens=11, logits_tokens=0)
    theirs = weigh(work, counted.kv_elements)
    assert ours == {metric: theirs[metric] for metric in COUNTED}


def test_a_step_of_different_lengths_attends_sequence_by_sequence(model: DeepseekOCRForCausalLM) -> None:
    """Attention is counted for each sequence alone, at its length; everything else for the batch, at any length."""
    contexts = (13, 1, 101, 57)
    batch = count(model, batch_size=len(contexts), positions=1, cached=7, logits_tokens=1)
    alone = [count(model, batch_size=1, positions=1, cached=length, logits_tokens=1) for length in contexts]
    work = Work.of(
        [
            *(operator for operator in batch.operators if operator.name != ATTENTION),
            *(operator for forward in alone for operator in forward.operators if operator.name == ATTENTION),
        ]
    )
    theirs = weigh(work, sum(forward.kv_elements for forward in alone))
    ours = value(cost_step(FORMULA_SIZES), batch_size=len(contexts), context_tokens=sum(contexts))
    # Each sequence has a position of its own: in each of 3 layers 3 integers of 8 bytes more are read than of one row.
    assert ours.pop("io_bytes") == theirs.io_bytes + 3 * 3 * 8
    assert ours == {metric: theirs[metric] for metric in COUNTED if metric != "io_bytes"}


def test_the_proofs_find_no_difference() -> None:
    shared = DeepSeekOCRArchitecture(
        num_hidden_layers=2, hidden_size=12, num_attention_heads=3, num_key_value_heads=3, intermediate_size=23,
        moe_intermediate_size=7, n_routed_experts=2, num_experts_per_tok=2, vocab_size=29, sam_num_hidden_layers=1,
        sam_global_attn_indexes=(0,), clip_num_hidden_layers=1,
    )  # fmt: skip
    verdicts = list(prove_server_steps(shared, lambda name: None))
    assert [verdict.stages for verdict in verdicts] == ["chunk"] * 6 + ["step"] * 6
    assert all(verdict.is_equal for verdict in verdicts)
