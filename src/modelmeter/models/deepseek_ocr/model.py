"""DeepSeek-OCR as the registry knows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from modelmeter.evaluators.server_steps import CHUNK, STEP
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.metrics.cost import Cost
from modelmeter.model.definition import ConfigReading, Derivation, DerivedSize, Model
from modelmeter.model.loop import Loop
from modelmeter.models.deepseek_ocr.abbreviations import VIEWS, list_abbreviations
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture, read_hf_config
from modelmeter.models.deepseek_ocr.build import build_layers, list_inputs, symbolic_sizes
from modelmeter.models.deepseek_ocr.checks import CHECKS
from modelmeter.models.deepseek_ocr.dimensions import DIMENSIONS, symbol
from modelmeter.models.deepseek_ocr.graph_sizes import read_architecture
from modelmeter.models.deepseek_ocr.hf_layout import UNLIMITED
from modelmeter.models.deepseek_ocr.model_rules import RULES
from modelmeter.models.deepseek_ocr.package import PACKAGE
from modelmeter.models.deepseek_ocr.server_steps import cost_chunk, cost_step, server_sizes
from modelmeter.models.deepseek_ocr.stages import STAGE_RECORDS, TRAINING, stage_of
from modelmeter.models.deepseek_ocr.vision_tokens import prompt_image_tokens
from modelmeter.models.deepseek_ocr.workload import Workload


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


def _list_studies() -> Iterable[Any]:
    from modelmeter.models.deepseek_ocr.studies import STUDIES  # what asks questions, which formulas do without

    return STUDIES


LAYER_NAMES: Final = {
    "image_encoder_vit": "sam_image_encoder",
    "patch_embed": "sam_patch_embed",
    "block": "sam_block",
    "attention": "sam_attention",
    "mlp_block": "sam_mlp",
    "layer_norm2d": "sam_layer_norm2d",
    "vit_model": "clip_vision_model",
    "notp_transformer": "clip_encoder",
    "notp_transformer_block": "clip_encoder_layer",
    "notp_attention": "clip_attention",
    "notp_feedforward": "clip_mlp",
}
"""Classes whose vendor's names do not say which tower they are of."""

MODEL: Final = Model(
    name=DeepSeekOCRArchitecture.model,
    title="DeepSeek-OCR",
    package=PACKAGE,
    dimensions=DIMENSIONS,
    stages=STAGE_RECORDS,
    stage_of=stage_of,
    loop=Loop(stage="decode", index=symbol("decode_step"), count=symbol("decode_steps")),
    training=TRAINING,
    rules=RULES,
    description="two vision towers, a projector and a decoder of experts",
    workload_words="one A4 page in gundam mode",
    alive_beside="The pixels of all images of the batch are alive while the towers run, and so are the embeddings of "
    "the prompt, into which the features are written.",
    checks=CHECKS,
    pairs={"num_tiles": ("num_width_tiles", "num_height_tiles")},
    repetition=VIEWS,
    list_abbreviations=list_abbreviations,
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
    derived=(
        DerivedSize(
            name="image_tokens",
            formula=prompt_image_tokens(symbolic_sizes()),
            words="the tokens of the image of one page: of its global view and of its tiles",
        ),
    ),
    build_layers=build_layers,
    list_inputs=list_inputs,
    list_server_steps=_list_server_steps,
    make_architecture=DeepSeekOCRArchitecture,
    read_architecture=read_architecture,
    read_config=_read_config,
    layer_names=LAYER_NAMES,
    aliases=frozenset({"deepseekvlv2"}),
    model_types=frozenset({"deepseek_vl_v2", "DeepseekOCR", "deepseekocr", "deepseek_ocr", "deepseek-ocr", *UNLIMITED}),
    default_workload=lambda: Workload().dimension_values(),
    trace=_trace,
    trace_artifacts=_trace_artifacts,
    list_proofs=_list_proofs,
    list_studies=_list_studies,
)
