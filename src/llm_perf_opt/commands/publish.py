"""``modelmeter publish``: the formulas as a static site."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from llm_perf_opt.arguments import ROUTING
from llm_perf_opt.commands.model_option import ModelOption
from llm_perf_opt.data.hardware import DTYPE_BITS, HardwareSpec
from llm_perf_opt.defaults import HARDWARE
from llm_perf_opt.evaluators import PEAK, list_defaults, list_stages, load_costs
from llm_perf_opt.hardware import find_hardware, list_hardware
from modelmeter.model import page_views
from modelmeter.model import serving as serving_module
from modelmeter.model.registry import DEFAULT, find_beside
from modelmeter.support.errors import OutputError
from modelmeter.support.garbage import without_collection

if TYPE_CHECKING:  # it needs sympy
    from modelmeter.compiled_model import CompiledModel
    from modelmeter.evaluators.package import EvaluatorPackage
    from modelmeter.publishing.site.calculator import Calculator, CalculatorCard, CalculatorViews

FOLDER: Final = Path("build/site")
IDS: Final = Path("codegen/data/ids.json")
EVIDENCE: Final = Path("codegen/formulas/evidence.json")
INSTALL: Final = "pip install 'modelmeter[site]'"

REQUEST: Final = "request"  # its name in modelmeter comes with sympy, which takes long to import

ROUTINGS: Final = ("uniform", "even")
"""What evaluators take as their ``expert_routing``."""

_SEPARATE: Final = (PEAK, "fused_io_bytes")


def publish(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help=f"Where the site goes; else {FOLDER}.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if a file of the site in DIR would change or go.")
    ] = False,
    studies: Annotated[
        Path | None,
        typer.Option("--studies", metavar="DIR", help="Also publish these pages, of modelmeter study --out DIR."),
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option("--evidence", metavar="FILE", help="How the formulas were checked; else that of codegen, if any."),
    ] = None,
    graph: Annotated[
        Path | None, typer.Option("--graph", metavar="FILE", help="Publish the model of this saved module graph.")
    ] = None,
    model: ModelOption = DEFAULT,
    book: Annotated[
        Path | None, typer.Option("--book", metavar="FILE", help="Write a book into this PDF, and no site.")
    ] = None,
    typesetter: Annotated[
        str | None,
        typer.Option("--typesetter", metavar="NAME", help="What sets the book: tex or typst; else what is installed."),
    ] = None,
) -> None:
    """Publish the formulas as a static site, or as a book."""
    if book is not None:
        if out is not None:
            raise OutputError(
                "a book and a site are written one by one", found=f"--book {book} and --out {out}",
                remedy="run the command once with --book and once with --out",
            )  # fmt: skip
        from llm_perf_opt.commands.book import publish_book

        publish_book(book, check=check, studies=studies, evidence=evidence, graph=graph, model=model,
                     typesetter=typesetter)  # fmt: skip
        return
    if typesetter is not None:
        raise OutputError("only a book has a typesetter", found=typesetter, remedy="name the book: --book FILE")
    out = FOLDER if out is None else out
    from llm_perf_opt.commands.sources import compile_graph, read_graph
    from llm_perf_opt.reporting.folder import check_folder, write_folder
    from llm_perf_opt.terminal import print_lines, show_progress

    if not check:
        check_folder(out)
    with show_progress() as begin:
        begin("compile the formulas")
        compiled = compile_graph(read_graph(graph, model), model)
        begin("build the pages")
        files = build_files(compiled, studies=studies, evidence=evidence, model=model)
        if check:
            begin("compare the files")
            _compare(files, out)
        else:
            begin("write the files")
            write_folder(out, files, command="publish")
    size = sum(map(len, files.values()))
    print_lines(f"{out}: {len(files)} files, {size / 1e6:.1f} MB, {'current' if check else 'written'}")


@without_collection()
def build_files(
    compiled: CompiledModel, *, studies: Path | None = None, evidence: Path | None = None, model: str = DEFAULT
) -> dict[str, bytes]:
    """Return the files of the site by path.

    Raises
    ------
    OutputError
        If there are studies, and no package that reads Markdown, or they are no folder of studies.
    FormulaError
        If something on a page would be wrong.
    """
    from importlib.metadata import version

    from modelmeter.analysis.evidence import Evidence
    from modelmeter.compiler import find_evidence, make_evaluators
    from modelmeter.publishing.counting_rules import list_conventions
    from modelmeter.publishing.data.formula_data import describe_programs
    from modelmeter.publishing.data.id_registry import IdRegistry
    from modelmeter.publishing.derivation.derivation import DerivationMaker
    from modelmeter.publishing.page_input import PageInput
    from modelmeter.publishing.pages import build_pages_of
    from modelmeter.publishing.site.builder import SiteInput, build_site

    # The record of this tree is of the shipped model: of the general layers it speaks of that one.
    chosen = evidence or (EVIDENCE if model == DEFAULT and EVIDENCE.is_file() else None)
    checks = find_evidence(compiled, None if chosen is None else Evidence.read(chosen))
    definition = compiled.definition
    source = PageInput(
        definition=definition, model=compiled.model, totals=compiled.totals, peaks=compiled.peaks,
        catalogue=compiled.catalogue, defaults=compiled.defaults,
    )  # fmt: skip
    evaluators, formulas = make_evaluators(compiled, has_breakdown=False), compiled.published_formulas()
    return build_site(
        SiteInput(
            model=definition, title=compiled.name, version=version("modelmeter"),
            pages=build_pages_of(source, checks), derivations=DerivationMaker(source=source),
            programs=describe_programs(evaluators, formulas),
            ids={(each.id.subject, each.id.metric): each.id for each in formulas},
            conventions=tuple(list_conventions(definition, routes_experts=compiled.model.routes_experts)),
            evaluate=_make_evaluator(compiled, model), studies={} if studies is None else _read_studies(studies),
            # What is calculated is a request.
            calculator=None if definition.refused else _make_calculator(compiled, evaluators, model),
            registry=IdRegistry.read(IDS),
            render_markdown=None if studies is None else _open_markdown(),
        )
    )  # fmt: skip


def _make_calculator(compiled: CompiledModel, evaluators: EvaluatorPackage, model: str) -> Calculator:
    """Return what the page of the calculator has: the evaluators in JavaScript, the published modes, shipped cards."""
    from modelmeter.backends.javascript.render import render_package
    from modelmeter.publishing.site.calculator import MODULES, Calculator

    definition, costs = compiled.definition, load_costs(model)
    emitted = render_package(evaluators)
    follow = {each.name for each in definition.derivations}
    taken = list_defaults(REQUEST, model)
    sizes = [name for name in taken if name in compiled.defaults]
    serving = find_beside(model, serving_module.MODULE, "SERVING")
    return Calculator(
        modules={name: emitted[f"{name}.mjs"] for name in MODULES},
        arguments={name: None if name in follow else compiled.defaults[name] for name in sizes},
        optional=tuple(name for name in sizes if taken[name] is None),
        fractions=tuple(name for name in sizes if costs.DIMENSIONS[name].may_be_fraction),
        routings=ROUTINGS if ROUTING in taken else (), derived=tuple(each.name for each in definition.derived),
        batch=serving.batch_size if serving and serving.batch_size in sizes else None,
        over=next(iter(sizes)), stages=tuple(name for name in list_stages(model) if name != REQUEST), request=REQUEST,
        views=_describe_views(model, sizes), cards=tuple(map(_describe_card, map(find_hardware, list_hardware()))),
        card=HARDWARE, dtypes=("bfloat16", *(name for name in DTYPE_BITS if name != "bfloat16")),
        package=definition.package,
    )  # fmt: skip


def _describe_views(model: str, sizes: Sequence[str]) -> CalculatorViews | None:
    """Return how a model looks at pages; None of one that does not, or is served in no published mode."""
    from modelmeter.publishing.site.calculator import CalculatorViews

    views = find_beside(model, page_views.MODULE, "PAGE_VIEWS")
    serving = find_beside(model, serving_module.MODULE, "SERVING")
    if views is None or serving is None:
        return None
    modes = {name: (mode.sizes, mode.is_cut) for name, mode in serving.modes.items()}
    return CalculatorViews(
        modes=modes, mode=next(iter(modes), ""), sizes=tuple(name for name in views.defaults if name in sizes),
        tiles=tuple(name for name in views.tiles if name in sizes), preprocessings=views.preprocessings,
        script=views.read_script(),
    )  # fmt: skip


def _describe_card(card: HardwareSpec) -> CalculatorCard:
    """Return a card with its numbers as text, exactly."""
    from modelmeter.publishing.site.calculator import CalculatorCard

    return CalculatorCard(
        id=card.hardware_id, name=card.name,
        rates={dtype: write_rate(rate) for dtype, rate in card.tensor_flops_per_second.items()},
        vector_flops_per_second=write_rate(card.vector_flops_per_second),
        memory_bytes_per_second=write_rate(card.memory_bytes_per_second), memory_bytes=str(card.memory_bytes),
        reserve_gib=f"{Decimal(repr(card.memory_reserve.reserve_gib)):f}",
    )  # fmt: skip


def write_rate(rate: float) -> str:
    """Return a rate as a card file has it, with an exponent that is a multiple of three: ``989.4e12``."""
    exact = Decimal(repr(rate))
    exponent = max(0, exact.adjusted() // 3 * 3)
    return f"{exact.scaleb(-exponent).normalize():f}e{exponent}"


def _make_evaluator(compiled: CompiledModel, model: str) -> Callable[[str, str], int]:
    """Return what the generated package says of a metric of a stage or a layer."""
    costs, names = load_costs(model), compiled.definition.layer_names

    def evaluate(subject: str, metric: str) -> int:
        place = costs if subject in compiled.stages else costs.layers
        name = subject if subject in compiled.stages else names.get(subject, subject)
        if metric in _SEPARATE:
            return int(getattr(place, f"{name}_{metric}")())
        return int(getattr(getattr(place, name)(), metric))

    return evaluate


def _open_markdown() -> Callable[[str], str]:
    try:
        from markdown_it import MarkdownIt
    except ModuleNotFoundError as error:
        raise OutputError("pages of studies need markdown-it-py", found=str(error), remedy=INSTALL) from None
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")

    def render(text: str) -> str:
        return str(reader.render(text))

    return render


def _read_studies(folder: Path) -> dict[str, bytes]:
    from llm_perf_opt.reporting.manifest import MANIFEST
    from llm_perf_opt.studies.pages import INDEX

    if not (folder / INDEX).is_file():
        raise OutputError("these are no studies", place=str(folder), expected=INDEX,
                          remedy=f"write them with modelmeter study --out {folder}")  # fmt: skip
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def _compare(files: Mapping[str, bytes], folder: Path) -> None:
    """Refuse a folder with another site than ``files``, or with files that the site had once; others may be there."""
    from llm_perf_opt.reporting.folder import list_left_over
    from modelmeter.publishing.site.environment import MARK

    changed = [path for path, content in files.items() if not _is_same(folder / path, content)]
    left_over = list_left_over(folder, files, command="publish", mark=MARK.encode("ascii"))
    changed += [f"{path} (no longer published)" for path in left_over]
    if changed:
        raise OutputError(
            "the site is not the one that the formulas have", place=str(folder),
            found=", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else ""),
            remedy=f"run modelmeter publish --out {folder}" + (", and remove what is left" if left_over else ""),
        )  # fmt: skip


def _is_same(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content
