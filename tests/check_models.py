"""Tries every causal decoder of transformers with its default config at few layers: exact, in part, or refused and why.

Each model has a process of its own and limited time. ``python -m tests.check_models llama mamba`` tries some.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from modelmeter.support.errors import ModelMeterError

LAYERS = 3
"""Decoder layers that are left of the default config: a pattern of layers is seen twice in most."""

ENCODERS: Final = (
    "bert", "bert-generation", "big_bird", "camembert", "data2vec-text", "electra", "ernie", "megatron-bert",
    "reformer", "rembert", "roberta", "roberta-prelayernorm", "roc_bert", "roformer", "xlm-roberta", "xlm-roberta-xl",
    "xmod",
)  # fmt: skip
"""What is a decoder only where its config says so."""

BESIDE_ENCODERS: Final = (
    "bart", "bigbird_pegasus", "blenderbot", "blenderbot-small", "marian", "mbart", "mvp", "pegasus", "plbart",
    "prophetnet", "whisper",
)  # fmt: skip
"""What is a decoder alone only where its config says so."""

GATED_DELTA_RULES: Final = (
    "bailing_hybrid", "kimi_linear", "olmo_hybrid", "qwen3_5_moe_text", "qwen3_5_text", "qwen3_next",
)  # fmt: skip
"""What has full attention in each fourth layer only, of which few layers have none."""

_MIXED: Final[Mapping[str, Any]] = {
    "num_hidden_layers": 4, "layer_types": [*["linear_attention", "full_attention"] * 2]
}  # fmt: skip

COMPLETED: Final[Mapping[str, Mapping[str, Any]]] = {
    **{
        model_type: dict(_MIXED) for model_type in GATED_DELTA_RULES
    },
    **{model_type: {"is_decoder": True} for model_type in ENCODERS},
    **{model_type: {"is_encoder_decoder": False} for model_type in BESIDE_ENCODERS},
    "bamba": {"attn_layer_indices": [1]},
    "dbrx": {"attn_config": {"rope_theta": 500000.0, "clip_qkv": 8}},
    "deepseek_v2": {"num_experts_per_tok": 6},
    "dots1": {
        "n_routed_experts": 128, "n_shared_experts": 2, "num_experts_per_tok": 6, "n_group": 1, "topk_group": 1,
        "first_k_dense_replace": 1,
    },
    "granitemoehybrid": {"layer_types": [*["mamba", "attention"] * 16]},
    "hunyuan_v1_dense": {"head_dim": 128},
    "hunyuan_v1_moe": {"head_dim": 128, "num_experts": 64, "moe_topk": 8},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "lfm2_moe": {"layer_types": [*["conv", "full_attention"] * 16]},
    "ministral": {"head_dim": 128},
    "nemotron": {"num_key_value_heads": 8},
    # By default, their features are not as wide as the text.
    "qwen3_5": {"text_config": dict(_MIXED), "vision_config": {"out_hidden_size": 4096}},
    "qwen3_5_moe": {"text_config": dict(_MIXED), "vision_config": {"out_hidden_size": 2048}},
}  # fmt: skip
"""What published configs say and the defaults of a class leave open, so that transformers runs no default model."""

EXACT, PARTLY, REFUSED, FAILED, SLOW = "exact", "in part", "refused", "failed", "too slow"


def list_model_types() -> list[str]:
    """Return the types of which transformers has a causal decoder."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def make_fields(model_type: str) -> dict[str, Any]:
    """Return the default config of a type at few layers."""
    from transformers import CONFIG_MAPPING

    from modelmeter.frontend.cut_config import cut_config

    config = CONFIG_MAPPING[model_type](**COMPLETED.get(model_type, {}))
    return {**cut_config(config, range(LAYERS)).to_dict(), "model_type": model_type}


def try_model(model_type: str, *, parallel: bool) -> tuple[str, str]:
    """Return whether the default config of a type at few layers has exact formulas and all files, and why not."""
    from llm_perf_opt.commands.compile_traced import list_files
    from modelmeter.frontend.compile import open_compilation

    try:
        fields = make_fields(model_type)
    except Exception as error:  # a class may have no defaults, or refuse to be cut
        return REFUSED, f"the default config cannot be cut to {LAYERS} layers: {_shorten(error)}"
    try:
        with open_compilation(fields, points=1, parallel=parallel) as compiled:
            list_files(compiled)
    except ModelMeterError as error:
        return REFUSED, _shorten(error)
    except Exception as error:  # a defect: what is refused is refused by an error of ours
        return FAILED, f"{type(error).__name__}: {_shorten(error)}"
    if compiled.traced.refused:
        stages = ", ".join(compiled.traced.runs)
        refused = "; ".join(f"{stage} is refused: {reason}" for stage, reason in compiled.traced.refused.items())
        return PARTLY, f"{stages} exact, {max(each.modules for each in compiled.checked)} modules; {refused}"
    return EXACT, f"{max(each.modules for each in compiled.checked)} modules"


def _shorten(error: object) -> str:
    return " ".join(str(error).split())[:300]


def _work(model_type: str, parallel: bool, connection: Connection) -> None:
    warnings.simplefilter("ignore")
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        sys.stdout = sys.stderr = nowhere
        connection.send(try_model(model_type, parallel=parallel))


def run_limited(model_type: str, seconds: float, *, parallel: bool) -> tuple[str, str]:
    """Return what became of a model, in a process that is ended after some seconds."""
    context = get_context("fork")  # what is imported once is there in all
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(model_type, parallel, theirs))
    process.start()
    theirs.close()
    try:
        if not ours.poll(seconds):
            return SLOW, f"not done after {seconds:.0f} s"
        found: tuple[str, str] = ours.recv()
    except EOFError:
        return FAILED, "the process ended by itself"
    finally:
        process.kill()
        process.join()
    return found


def list_results(
    model_types: Sequence[str], jobs: int, run: Callable[[str], tuple[str, str]]
) -> Iterator[tuple[str, str, str]]:
    """Yield each type with what became of it, in order."""
    with ThreadPoolExecutor(jobs) as pool:
        for model_type, (outcome, reason) in zip(model_types, pool.map(run, model_types), strict=True):
            yield model_type, outcome, reason


def main(arguments: Sequence[str] | None = None) -> int:
    """Print each model and the counts; 1 if one failed with an error that is no refusal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model_types", nargs="*", help="types of transformers; all of them if none is given")
    parser.add_argument("--seconds", type=float, default=120, help="for each model")
    parser.add_argument("--jobs", type=int, default=2, help="models at a time; one is compiled by forked processes")
    parser.add_argument("--out", type=Path, help="write the table here, too")
    options = parser.parse_args(arguments)
    import torch

    import modelmeter.frontend.compile  # imported once, before the processes are made

    assert modelmeter.frontend.compile
    torch.set_num_threads(1)
    counts: Counter[str] = Counter()
    rows = []
    for model_type, outcome, reason in list_results(
        options.model_types or list_model_types(),
        options.jobs,
        lambda name: run_limited(name, options.seconds, parallel=options.jobs == 1),
    ):
        counts[outcome] += 1
        rows.append(f"{model_type:32} {outcome:9} {reason}")
        print(rows[-1], flush=True)
        if options.out:
            options.out.write_text("\n".join(rows) + "\n", encoding="utf-8")
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.most_common()))
    return int(counts[FAILED] > 0)


if __name__ == "__main__":
    raise SystemExit(main())
