"""Write the formula page of one layer: what it is, its six metrics as formulas, where it occurs, what it costs.

Run it with: python examples/write_formula_page.py [layer] [folder]
"""

import argparse
from pathlib import Path

import modelmeter


def main() -> None:
    """Write the page of the mixture of experts, or of the layer that is named, to a Markdown file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layer", nargs="?", default="deepseek_v2_moe", help="a layer, or its torch class")
    parser.add_argument("folder", nargs="?", default=".", type=Path, help="where to write the page")
    arguments = parser.parse_args()

    # From the module graph that the evaluators were compiled from, so that torch is not needed.
    model = modelmeter.load("deepseek-ocr")

    layers = model.find_layers(arguments.layer)
    if not layers:
        parser.error(f"no layer is called {arguments.layer}, only {', '.join(model.layers)}")
    if not arguments.folder.is_dir():
        parser.error(f"{arguments.folder} is no folder")

    # All pages, as text by path. Nothing is on disk yet.
    pages = model.pages()
    for layer in layers:
        page = arguments.folder / f"{layer}.md"
        page.write_text(pages[f"layers/{layer}.md"], encoding="utf-8")
        print(f"{page}: {len(model.layers)} layers have one like it")


if __name__ == "__main__":
    main()
