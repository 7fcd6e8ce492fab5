"""The steps of a serving engine, against a trace of the reference model and against the formulas of a decode step."""

from __future__ import annotations

from collections.abc import Iterator

import sympy
from attrs import evolve

from modelmeter.dimensions.sums import bits_to_bytes
from modelmeter.evaluators.server_steps import CHUNK, STEP
from modelmeter.metrics.cost import INDEX_BITS, Cost
from modelmeter.metrics.metric import METRICS
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.build import build_layers, symbolic_sizes
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.models.deepseek_ocr.proofs.reference_cases import make_chunk_case
from modelmeter.models.deepseek_ocr.server_steps import cost_chunk, cost_step
from modelmeter.verify.integer_facts import Domain, resolve
from modelmeter.verify.model_formulas import map_cost, settle, share_evenly
from modelmeter.verify.proof import Implementation, Progress, Verdict


def prove_server_steps(architecture: DeepSeekOCRArchitecture, progress: Progress) -> Iterator[Verdict]:
    """Yield verdicts on a chunk, which is traced, and on a step of sequences of one length, which is a decode step.

    Parameters
    ----------
    architecture
        Its experts take every token, so that their shares are whole.
    """
    sizes = {**symbolic_sizes(), **architecture.dimension_values()}
    names = ("cached_tokens", "context_tokens")
    formulas = {**sizes, **{name: symbol(name) for name in names}}
    case = make_chunk_case(architecture)
    progress(case.name)
    trace = case.run()
    values = {symbol(name): sympy.sympify(size) for name, size in case.sizes.items()}
    derived = map_cost(
        settle(cost_chunk(formulas)), lambda size: resolve(share_evenly(size).xreplace(values), trace.domain)
    )
    # The traced model also holds what takes no part: the towers, the projector and their embeddings.
    parts = ("model.embed_tokens", "model.layers", "model.norm", "lm_head")
    weight_bytes = sum(trace.costs[path].weight_bytes for path in parts)
    traced = evolve(trace.costs[""], weight_bytes=weight_bytes)
    yield from _judge(CHUNK, derived, traced, "reference", case.describe(trace.domain), case.dimensions, trace.seconds)
    progress("steps of sequences of one length")
    cached = symbol("cached_tokens")
    lengths = {symbol("context_tokens"): symbol("batch_size") * cached}
    one_length = map_cost(cost_step(formulas), lambda size: resolve(size.xreplace(lengths), Domain()))
    step = build_layers({**sizes, "seq_len": cached, "decode_step": 1})["decode"].cost
    # The sequences of a decode step share a row of positions.
    positions = bits_to_bytes((symbol("batch_size") - 1) * architecture.num_hidden_layers * INDEX_BITS)
    measured = map_cost(step, lambda size: resolve(size, Domain()))
    measured = Cost(**{**measured.as_dict(), "io_bytes": measured.io_bytes + positions})
    yield from _judge(STEP, one_length, measured, "formulas", "all sizes; contexts of one length", (), 0.0)


def _judge(
    stage: str,
    derived: Cost,
    measured: Cost,
    implementation: Implementation,
    domain: str,
    dimensions: tuple[str, ...],
    seconds: float,
) -> Iterator[Verdict]:
    for metric in METRICS:
        yield Verdict(
            implementation=implementation,
            subject="",
            layer="",
            stages=stage,
            metric=metric,
            kind="identity",
            domain=domain,
            dimensions=dimensions,
            derived=derived[metric],
            measured=measured[metric],
            difference=sympy.expand(derived[metric] - measured[metric]),
            seconds=seconds,
        )
