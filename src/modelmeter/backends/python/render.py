"""The evaluator package as text: evaluators in, ``{path: text}`` out, nothing read and nothing written."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve, frozen

from modelmeter.backends.python.array_function import print_array_function
from modelmeter.backends.python.function import print_function, print_table
from modelmeter.backends.python.package_templates import PackageTemplates
from modelmeter.core.metrics import METRICS
from modelmeter.evaluators.evaluator import Evaluator
from modelmeter.evaluators.package import EvaluatorPackage
from modelmeter.evaluators.server_steps import hide_step
from modelmeter.evaluators.signature import Parameter
from modelmeter.support.errors import FormulaError

_RUNTIME = (
    *("_runtime.py", "_bits.py", "_source.py", "_sizes.py", "_rules.py", "_polynomials.py", "_symbolic.py"),
    *("_reading.py", "_program.py", "_freeze.py", "_bounds.py", "_tape.py", "_operations.py", "_blocks.py"),
    *("_fused.py", "_plan.py", "_ahead.py", "_array_runtime.py", "_grid.py", "_rows.py", "_array_breakdown.py"),
)
"""What all functions share, and what is behind arrays and frozen evaluators: it holds for any formulas."""


@frozen(kw_only=True)
class PythonBackend:
    """The package in Python, which needs the standard library only.

    Parameters
    ----------
    package
        The name of the package.
    """

    package: str
    name: str = "python"

    def files(self, package: EvaluatorPackage) -> dict[str, str]:
        """Return the modules of the package."""
        return {f"{self.package}/{path}": text for path, text in render_package(package).items()}


def render_package(package: EvaluatorPackage) -> dict[str, str]:
    """Return the files of the evaluator package: text by path, the same for the same formulas.

    Raises
    ------
    FormulaError
        If a formula cannot be printed exactly, or a text is not plain.
    """
    spec = package.spec
    for text in (spec.model, *spec.conventions, *(layer.doc for layer in spec.layers)):
        if not text.isprintable() or "\\" in text or '"""' in text:
            raise FormulaError("this text cannot stand in a docstring", found=text)
    functions = {
        path: list(map(print_function, evaluators)) for path, evaluators in _list_modules(package).items() if evaluators
    }
    stages = [*package.stages, *package.training]
    cut = {"_metrics": package.stage_names, "_training": _names_of(package.training)}
    names = {
        module: [
            *(f"{cost}_{metric}" for cost in cut.get(module, ()) for metric in METRICS),
            *(function.name for function in functions[f"{module}.py"]),
        ]
        for module in ("_metrics", "_peaks", "_traffic", "_training")
        if f"{module}.py" in functions
    }
    templates = PackageTemplates(spec, package.stage_names)
    files = {
        f"{module}.py": templates.functions(
            f"{module}.py",
            functions[f"{module}.py"],
            names=names.get(module),
            costs=cut.get(module),
            metrics=METRICS,
            sizes=_list_layer_sizes(package),
            aliases=package.aliases,
        )
        for module in (path.removesuffix(".py") for path in functions)
    }
    if package.server_steps:
        steps = [print_function(hide_step(evaluator)) for evaluator in package.server_steps]
        files["_server.py"] = templates.functions("_server.py", steps, defaults=spec.defaults)
    tables = package.tables
    files["breakdown.py"] = templates.functions(
        "breakdown.py", list(map(print_table, tables)), modules=package.modules, tables=tables
    )
    holders = {
        "_stages": (*package.stage_names, package.all_stages.name),
        **({"_training": _names_of(package.training)} if package.training else {}),
        "_peaks": _names_of(package.peaks),
        "_metrics": _names_of(package.derived),
        "_traffic": _names_of(package.traffic),
    }
    files["_formulas.py"] = templates.render(
        "formulas.py.jinja", holders=holders, costs=[evaluator.name for evaluator in stages]
    )
    over_arrays = (*stages, package.all_stages, *package.peaks, *package.derived, *package.traffic)
    files["arrays.py"] = templates.render("arrays.py.jinja", functions=list(map(print_array_function, over_arrays)))
    of_layers = list(map(print_array_function, package.layers))
    files["_array_layers.py"] = templates.render("array_layers.py.jinja", functions=of_layers, aliases=package.aliases)
    files |= {path: templates.copy(path) for path in _RUNTIME}
    return {
        "__init__.py": templates.front(
            names | ({"_server": [step.name for step in package.server_steps]} if package.server_steps else {})
        ),
        "_facts.py": templates.facts(files),
        **files,
        "py.typed": "",
    }


def _list_modules(package: EvaluatorPackage) -> dict[str, tuple[Evaluator, ...]]:
    """Return the evaluators on integers by the module that has them."""
    at_once = evolve(
        package.all_stages,
        summary=package.all_stages.summary.replace("request.", "request, in less time than one by one."),
    )
    return {
        "_stages.py": (*package.stages, at_once),
        "_metrics.py": package.derived,
        **({"_training.py": package.training} if package.training else {}),
        "general.py": package.general,
        "layers.py": package.layers,
        "_peaks.py": package.peaks,
        "_traffic.py": package.traffic,
    }


def _names_of(evaluators: Iterable[Evaluator]) -> tuple[str, ...]:
    return tuple(evaluator.name for evaluator in evaluators)


def _list_layer_sizes(package: EvaluatorPackage) -> list[Parameter]:
    """Return every size of a layer that is none of the model, or that is not in a layer what it is in the model."""
    known = {size.name: size for size in package.sizes}
    sizes = {
        size.name: size
        for layer in package.layers
        for size in layer.signature.parameters
        if size.name not in known or size.dimension != known[size.name].dimension
    }
    return sorted(sizes.values(), key=lambda size: size.name)
