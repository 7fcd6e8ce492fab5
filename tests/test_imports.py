"""Imports go down the floors only, and torch stays where torch modules are traced."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "src"
RUNTIME = SOURCES / "modelmeter" / "backends" / "python" / "runtime"

FLOORS = (
    "support",
    "dimensions",
    "metrics",
    "graph",
    "algebra",
    "layers",
    "model",
    "analysis",
    "evaluators",
    "backends",
    "publishing scaling verify",
    # what people import; the compiler asks the registry for models
    "compiled_model",
    "compiler",
    "frontend",
    "api",
    "models",
    "",
)
"""The folders of the library, and the modules beside them, from the ground up: each imports from those before it."""

APPLICATION_FLOORS = (
    "errors",
    "data",
    "contracts utils library",
    "hardware profiles",
    "terminal defaults exit_codes",
    "arguments evaluators",
    "lengths",
    "planning",
    "reporting sweep verification comparison",
    "studies visualize",
    "analytic_run",
    "commands",
    "runners cli",
    "",
)
"""The same of the application."""

WITH_TORCH = (
    *(
        f"modelmeter.frontend.{name}"
        for name in (
            "assemble",
            "attention_finder",
            "attention_kernel",
            "attention_views",
            "borders",
            "cache",
            "cached_layers",
            "cached_states",
            "checks",
            "chunks",
            "cards.grids",
            "cards.of_views",
            "cards.slices",
            "cards.views",
            "compile",
            "configs.carded",
            "configs.classes",
            "configs.config",
            "configs.suspects",
            "constants",
            "counts",
            "cut_config",
            "evidence",
            "experts",
            "fused_attention",
            "general.count_keys",
            "general.fresh_configs",
            "general.general_form",
            "general.lift",
            "general.lifted_runs",
            "general.small_configs",
            "kinds",
            "left_out",
            "modules",
            "prepared",
            "real_integers",
            "recording",
            "shallow",
            "text_parts",
            "text_stages",
            "traced_graph",
            "tracing",
            "training.evidence",
            "training.recording",
            "training.traced_step",
            "training.tracing",
            "vision",
        )
    ),
    "modelmeter.graph.dtypes",
    "modelmeter.graph.forward_recorder",
    "modelmeter.graph.trace",
    "modelmeter.models.deepseek_ocr.trace_artifacts",
    "modelmeter.models.deepseek_ocr.trace_reference",
    "modelmeter.models.deepseek_ocr.reference*",
    "modelmeter.models.deepseek_ocr.proofs*",
    "modelmeter.models.deepseek_ocr.measuring",
    "modelmeter.verify*",
    "llm_perf_opt.runners.measure_stages",
)


def name_module(path: Path) -> str:
    parts = path.relative_to(SOURCES).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_module(path): path for path in sorted(SOURCES.rglob("*.py"))}


def walk(tree: ast.AST, *, run_only: bool) -> Iterator[ast.AST]:
    waiting = [tree]
    while waiting:
        for node in ast.iter_child_nodes(waiting.pop()):
            if run_only and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                continue
            yield node
            waiting.append(node)


@cache
def read_imports(path: Path, *, run_only: bool = False) -> tuple[str, ...]:
    """Return the full name of everything that a file imports, inside of functions too; or only what runs."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return tuple(name for node in walk(tree, run_only=run_only) for name in list_names(node, path))


def list_names(node: ast.AST, path: Path) -> Iterator[str]:
    """Yield the full name of everything that one statement of a file imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = ""
        if node.level:
            assert node.level == 1, path
            assert path.parent == RUNTIME, f"{path}: imports are absolute but in what is copied into packages"
            above = name_module(path).rpartition(".")[0]
        module = ".".join(filter(None, (above, node.module)))
        for alias in node.names:
            below = f"{module}.{alias.name}"
            yield below if below in MODULES else module


def room_of(module: str) -> str:
    """Return the folder of a module of the library, or the name of one beside the folders."""
    return ([*module.split("."), ""])[1]


def floor_of(module: str) -> int:
    for floor, rooms in enumerate(FLOORS if root_of(module) == "modelmeter" else APPLICATION_FLOORS):
        if room_of(module) in rooms.split(" "):
            return floor
    raise AssertionError(f"{module} is on no floor; add its folder to FLOORS, or to APPLICATION_FLOORS")


def root_of(module: str) -> str:
    return module.split(".")[0]


def uses_torch(module: str) -> bool:
    return any(fnmatchcase(module, pattern) for pattern in WITH_TORCH)


def test_there_is_something_to_check() -> None:
    assert {"modelmeter.compiler", "modelmeter.layers.base", "modelmeter.graph.trace"} <= MODULES.keys()
    assert "modelmeter.dimensions.symbols" in set(read_imports(MODULES["modelmeter.metrics.cost"])), (
        "imported from the package"
    )
    assert "modelmeter.models.deepseek_ocr.trace_reference" in set(
        read_imports(MODULES["modelmeter.models.deepseek_ocr.model"])
    )
    assert floor_of("modelmeter.support.errors") < floor_of("modelmeter.models.deepseek_ocr.build")


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_from_lower_floors_or_its_own_folder(module: str) -> None:
    climbing = [
        imported
        for imported in read_imports(MODULES[module])
        if root_of(imported) == root_of(module)
        and room_of(imported) != room_of(module)
        and floor_of(imported) >= floor_of(module)
    ]
    assert not climbing, f"{module} on floor {floor_of(module)}"


@pytest.mark.parametrize("module", [name for name in MODULES if room_of(name) != "models"])
def test_nothing_outside_the_models_imports_a_model(module: str) -> None:
    """General code asks the registry."""
    assert not [imported for imported in read_imports(MODULES[module]) if imported.startswith("modelmeter.models.")]


@pytest.mark.parametrize("root", ["modelmeter", "llm_perf_opt"])
def test_no_modules_import_each_other(root: str) -> None:
    """Imports inside of functions count. What is imported for type checkers only does not: it is never run."""
    imports = {
        name: {imported for imported in read_imports(path, run_only=True) if imported in MODULES} - {name}
        for name, path in MODULES.items()
        if root_of(name) == root and path.parent != RUNTIME
    }
    while leaves := [name for name, found in imports.items() if not found & imports.keys()]:
        for name in leaves:
            del imports[name]
    assert not imports, "each of these is in a circle, or imports one that is"


@pytest.mark.parametrize("module", [name for name in MODULES if name.split(".")[0] == "modelmeter"])
def test_the_library_knows_neither_the_application_nor_what_it_generates(module: str) -> None:
    roots = {imported.split(".")[0] for imported in read_imports(MODULES[module])}
    assert not roots & {"llm_perf_opt", "deepseek_ocr_costs", "tests"}
    is_allowed = ".proofs." in module or (module.startswith("modelmeter.frontend.") and uses_torch(module))
    assert "transformers" not in roots or is_allowed, "the independent implementation, and what is traced of it"


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("modelmeter.verify")])
def test_what_proves_names_no_model(module: str) -> None:
    """A model hands in what is known of it; not even a message names one."""
    assert not [name for name in read_imports(MODULES[module]) if name.startswith("modelmeter.models")]
    assert "models.deepseek_ocr" not in MODULES[module].read_text(encoding="utf-8")


@pytest.mark.parametrize("module", [name for name in MODULES if not uses_torch(name)])
def test_torch_is_used_only_where_modules_are_traced_or_counted(module: str) -> None:
    roots = {imported.split(".")[0] for imported in read_imports(MODULES[module])}
    assert not roots & {"torch", "torchinfo", "torchvision"}


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_everything_but_the_tracer_and_the_counters_imports_no_torch() -> None:
    """Also not by way of a module that does: compiling from a saved graph works where there is no torch."""
    names = [
        name
        for name, path in MODULES.items()
        if name.split(".")[0] == "modelmeter" and not uses_torch(name) and path.parent != RUNTIME  # that needs numpy
    ]
    assert "modelmeter.compiler" in names
    loaded = run_python(
        "import sys\n"
        + "".join(f"import {name}\n" for name in names)
        + "print(sorted({'torch', 'torchinfo', 'transformers', 'numpy', 'llm_perf_opt'} & sys.modules.keys()))"
    )
    assert loaded == "[]"


def test_the_words_need_sympy_and_attrs_only() -> None:
    """What every formula is made of starts fast, and works without the packages of the upper floors."""
    loaded = run_python(
        "import sys, modelmeter.metrics.cost, modelmeter.metrics.operator_table, modelmeter.dimensions.evaluate\n"
        "print(sorted({'networkx', 'jinja2', 'cattrs', 'yaml', 'typer', 'rich'} & sys.modules.keys()))"
    )
    assert loaded == "[]"


def test_no_two_test_files_have_one_name() -> None:
    """Pytest imports test files by their name alone; two of one name stop a run in a clean checkout."""
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
