"""Write the formula page of one layer: what it is, its six metrics as formulas, where it occurs, what it costs.

Run it with: python examples/write_formula_page.py [layer] [folder]
"""

import argparse
from importlib.resources import files
from pathlib import Path

from modelmeter.compiler import compile_model
from modelmeter.publishing.pages import render_pages
from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture


def main() -> None:
    """Write the page of the mixture of experts, or of the layer that is named, to a Markdown file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layer", nargs="?", default="deepseek_v2_moe", help="a layer, or its torch class")
    parser.add_argument("folder", nargs="?", default=".", type=Path, help="where to write the page")
    arguments = parser.parse_args()

    # From the module graph that the evaluators were compiled from, so that torch is not needed.
    graph = ModuleGraph.read(str(files("deepseek_ocr_costs") / "module_graph.json"))
    compiled = compile_model(DeepSeekOCRArchitecture(), graph)

    layers = [entry.name for entry in compiled.catalogue if arguments.layer in (entry.name, entry.class_name)]
    if not layers:
        parser.error(f"no layer is called {arguments.layer}, only {', '.join(e.name for e in compiled.catalogue)}")
    if not arguments.folder.is_dir():
        parser.error(f"{arguments.folder} is no folder")

    # All pages, as text by path. Nothing is on disk yet.
    pages = render_pages(
        model=compiled.model,
        totals=compiled.totals,
        peaks=compiled.peaks,
        catalogue=compiled.catalogue,
        defaults=compiled.defaults,
        name=compiled.name,
    )
    for layer in layers:
        page = arguments.folder / f"{layer}.md"
        page.write_text(pages[f"layers/{layer}.md"], encoding="utf-8")
        print(f"{page}: {len(compiled.catalogue)} layers have one like it")


if __name__ == "__main__":
    main()
