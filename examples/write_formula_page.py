"""Write the formula page of one layer: what it is, its six metrics as formulas, where it occurs, what it costs.

Run it with: python examples/write_formula_page.py [layer] [folder]
"""

import sys
from importlib.resources import files
from pathlib import Path

from modelmeter.compiler import compile_model
from modelmeter.emit.pages import render_pages
from modelmeter.graph import ModuleGraph
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture


def main() -> None:
    """Write the page of the mixture of experts, or of the layer that is named, to a Markdown file."""
    layer = sys.argv[1] if len(sys.argv) > 1 else "deepseek_v2_moe"
    folder = Path(sys.argv[2] if len(sys.argv) > 2 else ".")

    # From the module graph that the evaluators were compiled from, so that torch is not needed.
    graph = ModuleGraph.read(str(files("deepseek_ocr_costs") / "module_graph.json"))
    compiled = compile_model(DeepSeekOCRArchitecture(), graph)

    # All pages, as text by path. Nothing is on disk yet.
    pages = render_pages(
        model=compiled.model,
        totals=compiled.totals,
        peaks=compiled.peaks,
        catalogue=compiled.catalogue,
        defaults=compiled.defaults,
        name=compiled.name,
    )
    page = folder / f"{layer}.md"
    page.write_text(pages[f"layers/{layer}.md"], encoding="utf-8")
    print(f"{page}: {len(compiled.catalogue)} layers have one like it")


if __name__ == "__main__":
    main()
