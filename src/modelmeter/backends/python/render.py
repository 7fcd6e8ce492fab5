"""The evaluator package as text: evaluators in, ``{path: text}`` out, nothing read and nothing written."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve, frozen

from modelmeter.backends.python.array_function import find_likes, print_array_function
from modelmeter.backends.python.function import print_function, print_steps, print_table
from modelmeter.backends.python.limits import Limits
from modelmeter.backends.python.package_templates import PackageTemplates
from modelmeter.evaluators.evaluator import Evaluator, OneCost, OneValue
from modelmeter.evaluators.package import THIS_MODEL, WHOLE_MODEL, EvaluatorPackage
from modelmeter.evaluators.server_steps import hide_step
from modelmeter.evaluators.signature import Parameter, Signature
from modelmeter.metrics.metric import FUSED_IO, METRICS, PEAK
from modelmeter.model.stages import REQUEST
from modelmeter.support.errors import FormulaError

_RUNTIME = (
    *(
        "_runtime.py",
        "_bits.py",
        "_checks.py",
        "_statements.py",
        "_source.py",
        "_sizes.py",
        "_rules.py",
        "_polynomials.py",
    ),
    *(
        "_symbolic.py",
        "_reading.py",
        "_program.py",
        "_freeze.py",
        "_bounds.py",
        "_tape.py",
        "_operations.py",
        "_blocks.py",
    ),
    "_refused.py",
    *("_fused.py", "_plan.py", "_ahead.py", "_array_runtime.py", "_grid.py", "_rows.py", "_array_breakdown.py"),
    "_array_layers.py",
)
"""What all functions share, and what is behind arrays and frozen evaluators: it holds for any formulas."""

_BY_TABLE = ("_stages.py", "general.py", "layers.py")
"""The modules whose functions have their checks written into them when they are first called, as those of tables."""

_STEPS = {
    WHOLE_MODEL: "Return all metrics of stages and of layers that are whole models, of any architecture.",
    THIS_MODEL: "Return all metrics of stages and of the request, and what else is made of the same sizes.",
}
"""What functions of shared steps return."""


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
    limits = Limits.of(package)
    fused = {each.name: each for each in package.layers if isinstance(each.result, OneValue) and each.shared is None}
    modules = _list_modules(package)
    functions = {
        path: [
            print_function(each, limits if path in _BY_TABLE else None, beside=fused.get(f"{each.name}_{FUSED_IO}"))
            for each in evaluators
        ]
        for path, evaluators in modules.items()
        if evaluators
    }
    stages = [*package.stages, *package.training]
    steps = {
        name: print_steps(name, program, spec.dimensions, _STEPS[name]) for name, program in package.shared.items()
    }
    likes = {name: _name_like(name, package) for name in _names_of(stages)} | {
        name: like for name, like in _find_likes(package.peaks, package).items()
        if like != _name_like(name.removesuffix(f"_{PEAK}"), package)
    }  # fmt: skip
    held = _names_of(modules["_stages.py"])
    cut = [*(f"{stage}_{metric}" for stage in _names_of(stages) for metric in METRICS), *_names_of(package.traffic)]
    cut += [name for name in _names_of(package.peaks) if name not in held]
    names = {"_stages": ["Stages", *held], "_metrics": [*spec.whole_names, *cut]}
    aliases = {old: new for old, new in package.aliases.items() if not old.endswith(FUSED_IO)}
    names_of_fused = {
        name: [f"{name}_{FUSED_IO}", *(f"{old}_{FUSED_IO}" for old, new in aliases.items() if new == name)]
        for name in (layer.public_name for layer in spec.layers)
    }
    templates = PackageTemplates(spec, package.stage_names)
    files = {
        f"{module}.py": templates.functions(
            f"{module}.py",
            functions.get(f"{module}.py", []),
            likes=likes,
            cut=cut,
            steps=steps.get(module.strip("_")),
            sizes=_list_layer_sizes(package),
            aliases=aliases,
            names_of_fused=names_of_fused,
        )
        for module in (*(path.removesuffix(".py") for path in functions), "_metrics", "_whole_model", "_this_model")
    }
    if package.server_steps:
        server_steps = [print_function(hide_step(evaluator)) for evaluator in package.server_steps]
        files["_server.py"] = templates.functions("_server.py", server_steps, defaults=spec.defaults)
    tables = package.tables
    files["breakdown.py"] = templates.functions(
        "breakdown.py", [print_table(table, limits) for table in tables], modules=package.modules, tables=tables
    )
    of_costs = {f"{stage}_{metric}" for stage in _names_of(stages) for metric in METRICS}
    holders = {
        module: [name for name in listed if name not in {"Stages", *of_costs}] for module, listed in names.items()
    }
    files["_formulas.py"] = templates.render(
        "formulas.py.jinja",
        holders=holders,
        costs=[evaluator.name for evaluator in stages],
        refused=spec.explain_refusals() | spec.explain_lacks(),
    )
    over_arrays = (*stages, package.all_stages, *package.peaks, *package.derived, *package.traffic)
    array_functions = list(map(print_array_function, over_arrays))
    array_likes = find_likes(array_functions)
    files["arrays.py"] = templates.render(
        "arrays.py.jinja",
        functions=array_functions,
        likes=array_likes,
        like_functions=["like_metric" if metric else "like_cost" for _, _, metric in array_likes.values()],
    )
    files["_limits.py"] = templates.render("limits.py.jinja", limits=limits)
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
        summary=f"{package.all_stages.summary.removesuffix('.')}, in less time than one by one.",
    )
    likes = _find_likes(package.peaks, package)
    peaks = [peak for peak in package.peaks if peak.name not in likes]
    stages = [stage for stage in package.stages if stage.name != REQUEST]
    return {
        "_stages.py": (*stages, at_once, *package.training, *package.derived, *peaks),
        "general.py": tuple(each for each in package.general if isinstance(each.result, OneCost)),
        "layers.py": tuple(each for each in package.layers if isinstance(each.result, OneCost)),
    }


def _find_likes(evaluators: Iterable[Evaluator], package: EvaluatorPackage) -> dict[str, str]:
    """Return which evaluators have the sizes of a stage, or of another one, each with the function that has these."""
    stages = {stage.name: stage.signature for stage in package.stages}
    others: dict[str, Signature] = {}
    found = {}
    for evaluator in evaluators:
        stage = next(name for name in stages if evaluator.name.startswith(f"{name}_"))
        alike = [name for name, signature in others.items() if signature == evaluator.signature]
        if evaluator.signature == stages[stage]:
            found[evaluator.name] = _name_like(stage, package)
        elif alike:
            found[evaluator.name] = alike[0]
        else:
            others[evaluator.name] = evaluator.signature
    return found


def _name_like(stage: str, package: EvaluatorPackage) -> str:
    """Return the function that the cost of a stage is cut out of, or is."""
    return package.all_stages.name if stage == REQUEST else stage


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
