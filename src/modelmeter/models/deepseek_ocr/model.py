"""DeepSeek-OCR as the registry knows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from modelmeter.core.cost import Cost
from modelmeter.evaluators.server_steps import CHUNK, STEP
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.model.definition import ConfigReading, Derivation, Model
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture, read_hf_config
from modelmeter.models.deepseek_ocr.build import build_layers, list_inputs, symbolic_sizes
from modelmeter.models.deepseek_ocr.graph_sizes import read_architecture
from modelmeter.models.deepseek_ocr.model_name import PUBLISHED, name_model
from modelmeter.models.deepseek_ocr.model_rules import RULES
from modelmeter.models.deepseek_ocr.server_steps import cost_chunk, cost_step, server_sizes
from modelmeter.models.deepseek_ocr.stages import STAGE_RECORDS, stage_of
from modelmeter.models.deepseek_ocr.vision_tokens import prompt_image_tokens
from modelmeter.models.deepseek_ocr.workload import Workload

_IMAGE_TOKENS: Final = prompt_image_tokens(symbolic_sizes())


def _list_server_steps() -> dict[str, Cost]:
    sizes = server_sizes()
    return {CHUNK: cost_chunk(sizes), STEP: cost_step(sizes)}


def _read_config(path: Path) -> ConfigReading:
    return read_hf_config(path)


def _trace(architecture: DeepSeekOCRArchitecture) -> ModuleGraph:
    from modelmeter.models.deepseek_ocr.trace_reference import trace_reference  # torch, which nothing else here needs

    return trace_reference(architecture)


def _trace_artifacts(
    architecture: DeepSeekOCRArchitecture, sizes: Mapping[str, int], generated_at: str | None
) -> dict[str, str]:
    from modelmeter.models.deepseek_ocr.trace_artifacts import trace_artifacts
    from modelmeter.models.deepseek_ocr.trace_reference import TraceWorkload

    return trace_artifacts(architecture, TraceWorkload(**sizes), generated_at)


def _list_proofs(architecture: DeepSeekOCRArchitecture, is_full: bool) -> Iterable[Callable[..., Any]]:
    from modelmeter.models.deepseek_ocr.proofs.all_proofs import list_full_proofs, list_quick_proofs

    return (list_full_proofs if is_full else list_quick_proofs)(architecture)


MODEL: Final = Model(
    name=DeepSeekOCRArchitecture.model,
    title=PUBLISHED,
    package="deepseek_ocr_costs",
    stages=STAGE_RECORDS,
    stage_of=stage_of,
    training_run="prefill",
    rules=RULES,
    derivations=(
        Derivation(
            name="seq_len",
            terms=("image_tokens", "prompt_tokens"),
            words="the image tokens and ``prompt_tokens``",
            meaning="image tokens of the global view and of the tiles, and the text",
            replaces="prompt_tokens",
        ),
        Derivation(
            name="logits_tokens", terms=("seq_len",), words="all of ``seq_len``", meaning="every position gets logits"
        ),
        Derivation(
            name="decode_steps",
            terms=("max_new_tokens", -1),
            words="``max_new_tokens - 1``",
            meaning="the prefill makes the first token",
            replaces="max_new_tokens",
        ),
    ),
    derived={"image_tokens": _IMAGE_TOKENS},
    symbolic_sizes=symbolic_sizes,
    build_layers=build_layers,
    list_inputs=list_inputs,
    list_server_steps=_list_server_steps,
    make_architecture=DeepSeekOCRArchitecture,
    read_architecture=read_architecture,
    read_config=_read_config,
    choose_name=name_model,
    default_workload=lambda: Workload().dimension_values(),
    trace=_trace,
    trace_artifacts=_trace_artifacts,
    list_proofs=_list_proofs,
)
