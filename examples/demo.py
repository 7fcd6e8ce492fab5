"""What a page costs, from evaluators that were compiled a moment ago, checked against PyTorch's own count.

Run it with: modelmeter compile --out build/codegen && python examples/demo.py build/codegen
"""

import argparse
import importlib
import sys
from pathlib import Path

from llm_perf_opt.terminal import format_integer, format_quantity, make_table, open_console, unit_of

SAMPLED_STEPS = (1, 512, 1023)  # of the 1,023 steps of the decode stage


def count_flops() -> dict[str, int]:
    """Run the reference model at full size on the meta device; return what PyTorch's FlopCounterMode counts."""
    import torch

    from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
    from modelmeter.models.deepseek_ocr.reference import build_reference
    from modelmeter.models.deepseek_ocr.reference_cache import KeyValueCache
    from modelmeter.verify.matrix_products import count_matrix_products

    with torch.device("meta"):
        model = build_reference(architecture := DeepSeekOCRArchitecture(), expert_routing="even")
        cache = KeyValueCache(architecture, batch_size=1, capacity=2000, device="meta", dtype=torch.bfloat16)
        views = [torch.empty(n, 3, side, side, dtype=torch.bfloat16) for n, side in ((6, 640), (1, 1024))]
        prompt, token = (torch.empty(1, length, dtype=torch.int64) for length in (913, 1))
        modules = count_matrix_products(model, lambda: model(prompt, cache, lambda: iter(views), (2, 3))).by_path
        sam, clip, projector = (modules[f"model.{name}"] for name in ("sam_model", "vision_model", "projector"))
        counts = {"vision": sam + clip, "projector": projector, "prefill": modules[""] - sam - clip - projector}
        for step in SAMPLED_STEPS:
            cache.hold(913 + step - 1)  # as the steps before it leave the cache
            counts[f"decode step {step}"] = count_matrix_products(model, lambda: model(token, cache)).by_path[""]
    return counts


def main() -> None:
    """Print what each stage costs, then how the formulas compare with the count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="where `modelmeter compile` wrote the evaluators")
    folder = parser.parse_args().folder
    if not Path(folder, "deepseek_ocr_costs", "__init__.py").is_file():
        parser.error(f"{folder} has no evaluators: run modelmeter compile --out {folder}")
    sys.path.insert(0, folder)  # before the evaluators that are installed
    costs = importlib.import_module("deepseek_ocr_costs")
    stages = costs.stages()._asdict()
    table = make_table("gundam, A4 page", *stages)
    for metric in costs.Cost._fields:
        table.add_row(metric, *(format_quantity(getattr(cost, metric), unit_of(metric)) for cost in stages.values()))

    flops = {stage: cost.tensor_core_flops for stage, cost in stages.items()}
    decode = costs.freeze("decode", metric="tensor_core_flops", free=["decode_steps"])
    flops |= {f"decode step {n}": decode(n) - decode(n - 1) for n in SAMPLED_STEPS}
    check, counts = make_table("tensor_core_flops", "formula", "FlopCounterMode", "difference"), count_flops()
    for name, formula in flops.items():
        compared = (counts[name], formula - counts[name]) if name in counts else ()
        check.add_row(name, *map(format_integer, (formula, *compared)))
    for shown in (table, "", check, f"\nEvaluators: {costs.__path__[0]}\nFormulas: {folder}/formulas/README.md"):
        open_console().print(shown, markup=False)
    sys.exit(any(flops[name] != count for name, count in counts.items()))


if __name__ == "__main__":
    main()
