"""Generated scalar evaluators against an expert's hand-written function and PyTorch's counter."""

from __future__ import annotations

import sympy
from tests.benchmarks.tables import RUNS, Table, time_interleaved

import deepseek_ocr_costs as costs
from modelmeter.compiler import compile_model
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture


def write_by_hand(batch_size: int, seq_len: int) -> int:
    """Matrix FLOPs of the prefill as an expert writes them down: 12 layers, 1 dense, a head over all positions."""
    tokens = batch_size * seq_len
    attention = 4 * tokens * seq_len * 1280 + 8 * tokens * 1280 * 1280 + tokens * 128
    dense = 6 * tokens * 1280 * 6848
    sparse = 6 * tokens * 1280 * 896 * 8 + 2 * tokens * 1280 * 64
    return 12 * attention + dense + 11 * sparse + 2 * tokens * 1280 * 129280


def run() -> Table:
    """Time one metric of the prefill, evaluated in five ways."""
    assert write_by_hand(3, 1021) == costs.prefill_tensor_core_flops(batch_size=3, seq_len=1021)
    graph = ModuleGraph.read(f"{costs.__path__[0]}/module_graph.json")
    compiled = compile_model(DeepSeekOCRArchitecture(), graph)
    formula = compiled.totals.by_stage["prefill"].tensor_core_flops
    names = ("batch_size", "seq_len", "logits_tokens")
    free = {symbol.name: symbol for symbol in sympy.sympify(formula).free_symbols}
    numbers = {symbol: compiled.defaults[name] for name, symbol in free.items() if name not in names}
    filled = sympy.sympify(formula).xreplace(numbers)
    compiled_function = sympy.lambdify([free[name] for name in names], filled, "math", cse=True)
    point = {free["batch_size"]: 3, free["seq_len"]: 1021, free["logits_tokens"]: 1021}
    seconds = time_interleaved(
        {
            "expert by hand": lambda: write_by_hand(3, 1021),
            "generated, one metric": lambda: costs.prefill_tensor_core_flops(batch_size=3, seq_len=1021),
            "generated, six metrics": lambda: costs.prefill(batch_size=3, seq_len=1021),
            "sympy.lambdify with cse": lambda: compiled_function(3, 1021, 1021),
            "sympy subs": lambda: filled.subs(point),
        },
        calls=1000,
    )
    by_hand = seconds["expert by hand"]
    return Table(
        title="Scalar evaluators: matrix FLOPs of the prefill",
        note=f"Median of {RUNS} interleaved runs, as a ratio to the hand-written function. Generated functions check "
        "their arguments; the others do not.",
        columns=("way", "ratio"),
        rows=tuple((name, f"{value / by_hand:.2f}") for name, value in seconds.items()),
    )
