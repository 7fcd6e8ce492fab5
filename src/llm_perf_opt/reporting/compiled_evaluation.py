"""What the evaluators of a compiled model say about a request, exactly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast, get_args

from attrs import asdict

from llm_perf_opt.arguments import ROUTING, Argument, fill_arguments
from llm_perf_opt.data.hardware import DTYPE_BITS
from llm_perf_opt.data.prediction import RunStage
from llm_perf_opt.data.rationals import Rational
from llm_perf_opt.evaluators import PEAK, list_defaults, list_stages, load_costs, take_arguments
from llm_perf_opt.lengths import complete_sizes
from llm_perf_opt.reporting.evaluation import AS_COMPUTED, Evaluation, StageEvaluation, Storage
from modelmeter.support.errors import WorkloadError

REQUEST: Final = "request"


def list_request_sizes(model: str) -> dict[str, int | None]:
    """Return the sizes of a request to a model with their defaults; None for what follows from others."""
    return {name: cast("int | None", value) for name, value in list_defaults(REQUEST, model).items() if name != ROUTING}


def evaluate_request(
    model: str, given: Mapping[str, Argument], dtype: str, storage: Storage = AS_COMPUTED
) -> Evaluation:
    """Return what a request costs.

    Parameters
    ----------
    model
        The name of a registered model.
    given
        Sizes of the request; the others have their defaults, or follow from those.
    dtype, storage
        The type that is computed in, and the bits that are stored where they are not those of the type.

    Raises
    ------
    WorkloadError
        If the model has no request of a prompt and its output, a stage of it has no place in a report, a width is given
        twice, or the evaluators refuse a size.
    """
    costs, stages = load_costs(model), _list_run_stages(model)
    sizes = _find_sizes(model, given, dtype, storage)

    def evaluate(stage: RunStage) -> StageEvaluation:
        def call(function: Any) -> Any:
            return function(**take_arguments(function, sizes))

        return StageEvaluation(
            cost=call(getattr(costs, stage)),
            peak_activation_bytes=call(getattr(costs, f"{stage}_{PEAK}")),
            operators=call(getattr(costs.breakdown, f"{stage}_operators")),
            states=call(getattr(costs.breakdown, f"{stage}_states")),
        )

    try:
        return Evaluation(
            sizes=sizes,
            architecture={},
            modules=costs.breakdown.MODULES,
            stages={stage: evaluate(stage) for stage in stages},
            request=costs.request(**sizes),
            request_peak_activation_bytes=costs.request_peak_activation_bytes(**sizes),
            last_logits=None,  # no other position gets logits
        )
    except costs.CostError as error:
        raise WorkloadError(str(error), place=model) from None


def _list_run_stages(model: str) -> tuple[RunStage, ...]:
    """Return the stages of a model; refuse one with stages that reports do not know, or without those that write."""
    stages = [stage for stage in list_stages(model) if stage != REQUEST]
    strange = [stage for stage in stages if stage not in get_args(RunStage)]
    if strange:
        raise WorkloadError(
            "a report has no place for stages of these names", place=model, expected=" or ".join(get_args(RunStage)),
            found=", ".join(strange), remedy="evaluate them with modelmeter eval",
        )  # fmt: skip
    if not {"prefill", "decode"} <= {*stages}:
        raise WorkloadError(
            "a report is of a request, which has a prefill and a decode", place=model, found=", ".join(stages),
            remedy="evaluate its stages with modelmeter eval",
        )  # fmt: skip
    return tuple(cast("RunStage", stage) for stage in stages)


def _find_sizes(model: str, given: Mapping[str, Argument], dtype: str, storage: Storage) -> dict[str, Rational]:
    """Return every size of a request, those that follow from others among them, and nothing that these replace."""
    costs, defaults = load_costs(model), list_request_sizes(model)
    widths = {name: bits for name, bits in asdict(storage).items() if bits is not None}
    twice = sorted(widths.keys() & given.keys())
    if twice:
        raise WorkloadError(
            "a width is given twice", place=twice[0], found=f"{twice[0]}= and --{twice[0].replace('_', '-')}",
            remedy="leave out one of them",
        )  # fmt: skip
    widths = dict.fromkeys(asdict(storage), DTYPE_BITS[dtype]) | widths
    asked = {**widths, **given}
    try:
        costs.request(**asked)  # sizes that contradict each other are refused here, by their names
    except costs.CostError as error:
        raise WorkloadError(str(error), place=model) from None
    known = cast("dict[str, Rational]", fill_arguments(defaults, asked, costs.DIMENSIONS))
    known = complete_sizes(known, model)
    sources = {name for name, dimension in costs.DIMENSIONS.items() if dimension.target is not None}
    return {name: known[name] for name in defaults if name not in sources}
