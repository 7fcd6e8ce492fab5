"""What a training step costs: against a forward pass, against requests, and over batch and prompt."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from modelmeter.model.stages import REQUEST, TRAINING_CONVENTION, TRAINING_STEP
from modelmeter.scaling.compiled_formulas import CompiledFormulas
from modelmeter.scaling.studies.asking import Worded, ask_crossover, ask_growth, ask_which
from modelmeter.scaling.studies.parts import depends_on, slug, stage_metric
from modelmeter.scaling.studies.pictures import draw, log_range, tabulate
from modelmeter.scaling.studies.presence import needs_sizes, say_why
from modelmeter.scaling.studies.records import Finding, Study, Subject
from modelmeter.scaling.studies.words import METRIC_WORDS

ID: Final = "training"
_OVERS: Final = ("batch_size", "seq_len")
_TIMES: Final = {2: "two", 3: "three", 4: "four"}
_METRICS: Final = ("tensor_core_flops", "cuda_core_flops", "activation_bytes")


def forward_of(model: CompiledFormulas, metric: str) -> Worded:
    """Return a forward pass over a whole prompt: all stages but the decode loop."""
    names = [name for name in model.definition.stage_names if name != model.definition.looped_stage]
    first, *others = (stage_metric(model, name, metric) for name in names)
    total = first.quantity
    for each in others:
        total = total + each.quantity
    return Worded(total, f"{METRIC_WORDS[metric]} of a forward pass ({', '.join(names)})")


def _find(subject: Subject) -> Iterator[Finding]:
    model = subject.model
    step = {metric: stage_metric(model, TRAINING_STEP, metric) for metric in _METRICS}
    forward = forward_of(model, "tensor_core_flops")
    request = stage_metric(model, REQUEST, "tensor_core_flops")
    work = step["tensor_core_flops"]
    for over in _OVERS:
        for metric, worded in step.items():
            if depends_on(worded.quantity, over):
                yield ask_growth(f"{ID}/{slug(metric)}", worded, over)
        for times, word in _TIMES.items():
            several = Worded(forward.quantity * Fraction(times), f"{word} times {forward.words}")
            yield ask_which(f"{ID}/step-over-{times}-forwards", f"{ID}/{times}-forwards-over-step", work, several, over)
        yield ask_crossover(f"{ID}/step-over-request", work, request, over)
    lines = {"training step": work, "forward": forward, "request": request}
    for over in _OVERS:
        points = log_range(1, 512) if over == "batch_size" else log_range(1024, 2**17)
        yield draw(
            f"work-over-{slug(over)}", "Matrix products of a training step, a forward pass and a request", lines, over,
            "FLOPs", points,
        )  # fmt: skip
        columns = {"training_step": work, "forward": forward, "request": request}
        yield tabulate(f"work-over-{slug(over)}", f"Matrix products over {over}", columns, over, points)


def _explain_absence(subject: Subject) -> str | None:
    if subject.model.definition.training is None:
        return say_why(subject, TRAINING_CONVENTION, "the model says nothing of training")
    return needs_sizes(*_OVERS)(subject)


STUDY: Final = Study(
    id=ID, title="Training",
    question="What does a training step cost, against a forward pass and against a request?",
    answers=(
        r"training/step-over-3-forwards/crossover/seq_len",
        r"training/3-forwards-over-step/crossover/seq_len",
        r"training/(step-over-request|tensor-core-flops)/.*/seq_len",
    ),
    find=_find, explain_absence=_explain_absence,
)  # fmt: skip
