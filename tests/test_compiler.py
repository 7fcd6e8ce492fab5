"""The compiler from end to end: from modules, or from a saved graph without torch, to the same formulas."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve

from modelmeter.compiled_model import CompiledModel
from modelmeter.compiler import compile_model, emit_files
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.dimensions import DIMENSIONS
from modelmeter.support.errors import BindError

WITHOUT_TORCH = """
import sys
from modelmeter.compiled_model import CompiledModel
from modelmeter.compiler import compile_model
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
compiled = compile_model(DeepSeekOCRArchitecture(), ModuleGraph.read(sys.argv[1]))
print(evaluate(compiled.totals.total.tensor_core_flops, compiled.defaults))
print(sorted({"torch", "torchinfo", "numpy", "transformers"} & sys.modules.keys()))
"""


def test_a_saved_graph_gives_the_same_model_without_torch(published: CompiledModel, tmp_path: Path) -> None:
    saved = tmp_path / "graph.json"
    published.graph.write(saved)
    again = compile_model(published.architecture, ModuleGraph.read(saved))
    assert again == published
    for made in ("totals", "peaks", "training_step", "catalogue", "defaults"):
        assert getattr(again, made) == getattr(published, made), made

    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(saved)], capture_output=True, text=True, check=True, timeout=120
    )
    total = evaluate(published.totals.total.tensor_core_flops, published.defaults)
    assert done.stdout.split("\n")[:2] == [str(total), "[]"]


def test_the_defaults_have_a_value_for_every_dimension(published: CompiledModel) -> None:
    assert DIMENSIONS.settable.keys() <= published.defaults.keys()
    # One A4 page: 16 x 17 + 1 tokens of the global view, (3 x 10) (2 x 10 + 1) of the tiles, 10 of the prompt.
    assert published.defaults["seq_len"] == 16 * 17 + 1 + 30 * 21 + 10 == 913
    assert published.defaults["decode_steps"] == published.defaults["decode_step"] == 1023


def test_the_formulas_are_those_of_the_family(published: CompiledModel, other: CompiledModel) -> None:
    """Every size is a symbol, so another architecture of the same structure has the same formulas."""
    assert other.totals.by_stage == published.totals.by_stage
    assert other.totals.total == published.totals.total


def test_a_graph_knows_what_it_was_traced_with(other: CompiledModel) -> None:
    assert other.graph.architecture == other.architecture.dimension_values()
    assert other.graph.lists == {"sam_global_attn_indexes": other.architecture.sam_global_attn_indexes}


def test_every_number_of_global_blocks_and_dense_layers_compiles(other_architecture: DeepSeekOCRArchitecture) -> None:
    """None, some and all of them: a group without modules needs none."""
    shallow = {"num_hidden_layers": 2, "sam_num_hidden_layers": 2, "clip_num_hidden_layers": 1}
    for dense, globals_ in ((0, (0, 1)), (2, ()), (1, (1,))):
        sizes = evolve(other_architecture, **shallow, first_k_dense_replace=dense, sam_global_attn_indexes=globals_)
        compiled = compile_model(sizes)
        held = evaluate(compiled.totals.total.weight_bytes, {**compiled.defaults, "weight_bits": 8})
        assert held == compiled.graph.root.parameter_count


def test_a_graph_of_another_architecture_is_refused_by_the_sizes_that_differ(published: CompiledModel) -> None:
    with pytest.raises(BindError, match=r"^moe_intermediate_size, vocab_size: .*another architecture"):
        compile_model(evolve(published.architecture, vocab_size=97, moe_intermediate_size=31), published.graph)


def test_sizes_that_decide_about_layers_of_which_there_are_none_are_no_arguments() -> None:
    """Without dense layers nothing was traced that ``first_k_dense_replace`` could count."""
    compiled = compile_model(
        DeepSeekOCRArchitecture(
            first_k_dense_replace=0, num_hidden_layers=3, n_routed_experts=7, clip_num_hidden_layers=1, vocab_size=101
        )
    )
    general = emit_files(compiled)["deepseek_ocr_costs/general.py"]
    assert "hidden_size: int = 1280," in general
    assert "first_k_dense_replace: int" not in general
