"""What the generated evaluators say about a workload, exactly; the one place that calls them."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, get_args

from attrs import asdict, frozen

from llm_perf_opt.data import OCRWorkloadProfile
from llm_perf_opt.data.hardware import DTYPE_BITS
from llm_perf_opt.data.prediction import ActivationMemory, RunStage
from llm_perf_opt.data.rationals import Rational
from modelmeter.support.errors import OutputError, WorkloadError

if TYPE_CHECKING:
    from deepseek_ocr_costs import Cost
    from deepseek_ocr_costs.breakdown import Module, OperatorCost, StateCost

MODEL_ID: Final = "deepseek-ai/DeepSeek-OCR"
"""The published model."""
STAGES: Final[tuple[RunStage, ...]] = get_args(RunStage)

_VIEWS: Final = (
    "images_per_prompt",
    "vision_batch_size",
    "base_size",
    "image_size",
    "num_width_tiles",
    "num_height_tiles",
)
_WORK_SIZES: Final[Mapping[RunStage, tuple[str, ...]]] = {
    "vision": ("batch_size", *_VIEWS, "weight_bits", "activation_bits"),
    "projector": ("batch_size", *_VIEWS, "weight_bits", "activation_bits"),
    "prefill": ("batch_size", "seq_len", "logits_tokens", "weight_bits", "activation_bits", "kv_bits"),
    "decode": ("batch_size", "seq_len", "decode_steps", "weight_bits", "activation_bits", "kv_bits"),
}
"""The sizes that the work of a stage depends on."""

_STATE_SIZES: Final[Mapping[RunStage, tuple[str, ...]]] = {
    "vision": ("weight_bits",),
    "projector": ("weight_bits",),
    "prefill": ("batch_size", "seq_len", "weight_bits", "kv_bits"),
    "decode": ("batch_size", "seq_len", "decode_steps", "weight_bits", "kv_bits"),
}
"""The sizes that its parameters and its cache depend on."""

_PEAK_SIZES: Final[Mapping[RunStage, tuple[str, ...]]] = {
    **_WORK_SIZES,
    # The embeddings of the prompt are alive beside the towers.
    **{stage: (*_WORK_SIZES[stage], "seq_len") for stage in ("vision", "projector")},
}
"""The sizes that its peak depends on."""


@frozen(kw_only=True)
class StageEvaluation:
    """One stage: its total and its peak, and the total by operator and by module."""

    cost: Cost
    peak_activation_bytes: int
    operators: tuple[OperatorCost, ...]
    states: tuple[StateCost, ...]


@frozen(kw_only=True)
class Evaluation:
    """A workload on the model.

    Parameters
    ----------
    sizes
        What the evaluators were given, by dimension.
    architecture
        The model's own sizes.
    modules
        The modules, parents first.
    stages
        Every stage by name, in the order in which they run.
    request, request_peak_activation_bytes
        All stages together.
    last_logits
        The activations of the request if only the last position of each prompt gets logits; None of a model that never
        gives others.
    """

    sizes: Mapping[str, Rational]
    architecture: Mapping[str, int]
    modules: tuple[Module, ...]
    stages: Mapping[RunStage, StageEvaluation]
    request: Cost
    request_peak_activation_bytes: int
    last_logits: ActivationMemory | None


@frozen(kw_only=True)
class Storage:
    """The bits of an element of each kind; None where they are those of the type that is computed in."""

    weight_bits: Rational | None = None
    activation_bits: Rational | None = None
    kv_bits: Rational | None = None


AS_COMPUTED: Final = Storage()
"""Everything is stored in the type that is computed in."""


def sizes_of(profile: OCRWorkloadProfile, dtype: str, storage: Storage = AS_COMPUTED) -> dict[str, Rational]:
    """Return the dimensions of a workload; its pages are one batch.

    Raises
    ------
    RecordError
        If the profile does not say which views there are.
    """
    num_width_tiles, num_height_tiles = profile.tile_grid
    return {
        "batch_size": profile.num_pages,
        "images_per_prompt": profile.images_per_prompt,
        "vision_batch_size": profile.vision_batch_size,
        "base_size": profile.view_size,
        "image_size": profile.image_size,
        "num_width_tiles": num_width_tiles,
        "num_height_tiles": num_height_tiles,
        "seq_len": profile.seq_len,
        "logits_tokens": profile.seq_len if profile.logits_tokens is None else profile.logits_tokens,
        # The prefill makes the first token.
        "decode_steps": profile.max_new_tokens - 1,
        **{name: DTYPE_BITS[dtype] if bits is None else bits for name, bits in asdict(storage).items()},
    }


def evaluate_workload(profile: OCRWorkloadProfile, dtype: str, storage: Storage = AS_COMPUTED) -> Evaluation:
    """Return what a workload costs.

    Raises
    ------
    RecordError
        As :func:`sizes_of`.
    WorkloadError
        If the evaluators refuse a size, such as a fraction of a bit where they take none.
    OutputError
        If the generated package is not installed.
    """
    try:
        import deepseek_ocr_costs as costs
        from deepseek_ocr_costs import breakdown
    except ImportError as error:
        raise _not_installed(error) from None
    sizes: dict[str, Any] = dict(sizes_of(profile, dtype, storage))  # keywords: some evaluators take texts too

    def evaluate(stage: RunStage) -> StageEvaluation:
        work, state, peak = (
            {name: sizes[name] for name in names[stage]} for names in (_WORK_SIZES, _STATE_SIZES, _PEAK_SIZES)
        )
        return StageEvaluation(
            cost=getattr(costs, stage)(**work),
            peak_activation_bytes=getattr(costs, f"{stage}_peak_activation_bytes")(**peak),
            operators=breakdown.operators(stage, **work),
            states=breakdown.states(stage, **state),
        )

    last_logits = {**sizes, "logits_tokens": 1}
    try:
        return Evaluation(
            sizes=sizes,
            architecture={name: size.default for name, size in costs.DIMENSIONS.items()},
            modules=breakdown.MODULES,
            stages={stage: evaluate(stage) for stage in STAGES},
            request=costs.request(**sizes),
            request_peak_activation_bytes=costs.request_peak_activation_bytes(**sizes),
            last_logits=ActivationMemory(
                logits_tokens=1,
                activation_bytes=costs.request(**last_logits).activation_bytes,
                peak_activation_bytes=costs.request_peak_activation_bytes(**last_logits),
            ),
        )
    except costs.CostError as error:
        raise WorkloadError(str(error), place=profile.profile_id) from None
    except TypeError as error:
        fractions = [f"{name} = {size}" for name, size in sizes.items() if isinstance(size, Fraction)]
        if not fractions:
            raise
        raise WorkloadError(
            "the evaluators take whole numbers of bits only", place=profile.profile_id, found=", ".join(fractions),
            remedy="give whole numbers, or compile evaluators that take fractions",
        ) from error  # fmt: skip


def read_model_id() -> str:
    """Return the name of the model that the generated package is of.

    Raises
    ------
    OutputError
        If the generated package is not installed.
    """
    try:
        import deepseek_ocr_costs as costs
    except ImportError as error:
        raise _not_installed(error) from None
    # The package of any other model says its name.
    return costs.PROVENANCE.get("model", MODEL_ID)


def _not_installed(error: ImportError) -> OutputError:
    return OutputError(
        "the generated package is not installed", place="deepseek_ocr_costs", found=str(error),
        remedy="run modelmeter compile",
    )  # fmt: skip


def read_conventions() -> tuple[str, ...]:
    """Return what the evaluators count and how, as lines of text."""
    import deepseek_ocr_costs as costs

    return costs.CONVENTIONS
