"""The modules of a report: the model as far as each stage runs it, stages side by side under the request."""

from __future__ import annotations

from typing import Final, cast

from llm_perf_opt.data import AnalyticModuleNode, Repetition
from llm_perf_opt.data.prediction import RunStage
from llm_perf_opt.reporting.evaluation import Evaluation, StageEvaluation
from llm_perf_opt.reporting.work import module_id

ROOT: Final = "request"


def build_modules(evaluation: Evaluation) -> tuple[AnalyticModuleNode, ...]:
    """Return the tree of modules, parents first.

    Its root is the request. Below it is the model once for every stage, with the modules that work or hold
    anything there, and those that hold these.
    """
    top = evaluation.modules[0]
    root = AnalyticModuleNode(
        module_id=ROOT,
        name=ROOT,
        qualified_class_name=top.qualified_class_name,
        stage="other",
        parent_id=None,
        children=tuple(evaluation.stages),
        repetition="none",
        repetition_count=1,
        constructor_params={},
    )
    return (root, *(node for name, stage in evaluation.stages.items() for node in _nodes(evaluation, name, stage)))


def _nodes(evaluation: Evaluation, stage: RunStage, work: StageEvaluation) -> list[AnalyticModuleNode]:
    parents = {module.path: module.parent for module in evaluation.modules}
    used = {evaluation.modules[0].path}
    for path in (*(row.path for row in work.operators), *(row.path for row in work.states)):
        above: str | None = path
        while above is not None and above not in used:
            used.add(above)
            above = parents[above]
    children: dict[str, list[str]] = {path: [] for path in used}
    modules = [module for module in evaluation.modules if module.path in used]
    for module in modules:
        if module.parent is not None:
            children[module.parent].append(module_id(stage, module.path))
    return [
        AnalyticModuleNode(
            module_id=module_id(stage, module.path),
            name=module.path.rpartition(".")[2] or stage,
            qualified_class_name=module.qualified_class_name,
            stage=stage,
            parent_id=ROOT if module.parent is None else module_id(stage, module.parent),
            children=tuple(children[module.path]),
            repetition=cast(Repetition, module.repetition),  # the generated package has its words from the graph
            repetition_count=module.repetition_count,
            constructor_params=dict(module.constructor_params),
        )
        for module in modules
    ]
