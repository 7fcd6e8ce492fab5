"""What models cost for the same pages on the same card: exact work, bounds and estimates, and exact frontiers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from attrs import evolve, field, frozen

from llm_perf_opt.comparison.dollars import DollarFrontier, find_dollar_frontiers
from llm_perf_opt.comparison.frontier import Frontier, find_frontiers
from llm_perf_opt.planning.mix import PageMix
from llm_perf_opt.planning.notes import find_length_note
from llm_perf_opt.planning.page_classes import PageClass
from llm_perf_opt.planning.plan import Plan
from llm_perf_opt.planning.request import PlanRequest, plan_request
from modelmeter.model.serving import find_serving
from modelmeter.support.errors import ModelMeterError, WorkloadError

FEWEST, MOST = 2, 16
"""Models that are compared at once."""

MODE_MARK = "@"
"""Between the name of a model and a mode of it."""


@frozen(kw_only=True)
class ComparisonRequest:
    """What is compared.

    Parameters
    ----------
    models
        Names of registered models, each maybe with a mode: ``deepseek-ocr@base``.
    pages
        The sides of the pages in pixels.
    output_tokens
        What is written for each.
    plan
        The card, the engine, the widths and the prompt; what it says of models and pages does not count.
    """

    models: tuple[str, ...]
    pages: tuple[tuple[int, int], ...]
    output_tokens: int
    plan: PlanRequest

    def without(self, labels: Collection[str]) -> ComparisonRequest:
        """Return the same less some models."""
        return evolve(self, models=tuple(label for label in self.models if label not in labels))


@frozen(kw_only=True, eq=False)
class ModelOnPage:
    """A model on a page: the work of the page alone, and a card that serves such pages.

    Parameters
    ----------
    label
        The name of the model, and the mode where one was named.
    page
        The sides in pixels.
    plan
        The card.
    peak_activation_bytes
        The most that is alive at once, of the page alone.
    cache_bytes
        What is cached after the last step.
    """

    label: str
    page: tuple[int, int]
    plan: Plan
    peak_activation_bytes: int
    cache_bytes: int

    @property
    def mix(self) -> PageMix:
        """The page."""
        return self.plan.chosen.setup.mix

    @property
    def page_class(self) -> PageClass:
        """Its tokens."""
        return self.mix.classes[0]

    @property
    def work(self) -> dict[str, int]:
        """What the page costs, exactly, and what is held while it does."""
        return {
            "image_tokens": self.page_class.image_tokens,
            "prompt_tokens": self.page_class.seq_len,
            **self.mix.totals,
            "weight_bytes": self.plan.chosen.setup.memory.weight_bytes,
            "kv_cache_bytes": self.cache_bytes,
            "peak_activation_bytes": self.peak_activation_bytes,
        }


@frozen(kw_only=True, eq=False)
class Comparison:
    """Models beside each other.

    Parameters
    ----------
    request
        What was asked for.
    rows
        By page, then by model, in the order in which they were named.
    frontiers
        Where one costs less than another over the output, page by page and pair by pair.
    dollar_frontiers
        Where one costs fewer dollars than another on full cards, as far as was looked.
    """

    request: ComparisonRequest
    rows: tuple[ModelOnPage, ...]
    frontiers: tuple[Frontier, ...] = field(factory=tuple)
    dollar_frontiers: tuple[DollarFrontier, ...] = field(factory=tuple)

    @property
    def notes(self) -> list[str]:
        """Which pages have more positions than the model was made for, in sentences."""
        found = ((row, find_length_note(row.mix)) for row in self.rows)
        return [f"{row.page[0]}x{row.page[1]}: {note}" for row, note in found if note is not None]


def compare_models(request: ComparisonRequest, begin: Callable[[str], object] = lambda _: None) -> Comparison:
    """Return models on pages, and the frontiers between any two of them.

    Raises
    ------
    ModelMeterError
        If a model does not look at pages, a page cannot be seen, or nothing fits on the card.
    """
    check_named(request.models, request.pages)
    rows: list[ModelOnPage] = []
    frontiers: list[Frontier] = []
    dollar_frontiers: list[DollarFrontier] = []
    for page in request.pages:
        here = []
        for label in request.models:
            begin(f"{label} on a page of {page[0]}x{page[1]} pixels")
            with naming(label):
                here.append(_look(request, label, page))
        begin("find the frontiers")
        frontiers += find_frontiers(page, [(row.label, row.mix.model.model, list_page_sizes(row.mix)) for row in here])
        begin("look for the frontiers of dollars")
        dollar_frontiers += find_dollar_frontiers(page, [(row.label, row.plan.chosen.setup) for row in here])
        rows += here
    return Comparison(
        request=request, rows=tuple(rows), frontiers=tuple(frontiers), dollar_frontiers=tuple(dollar_frontiers)
    )


@contextmanager
def naming(label: str) -> Iterator[None]:
    """Let what is refused of one of several models say which one it is."""
    try:
        yield
    except ModelMeterError as error:
        error.name_model(label)
        raise


def find_refusals(request: ComparisonRequest) -> dict[str, str]:
    """Return why models cannot be compared, by label: for one that can there is nothing."""
    refused = {}
    for label in request.models:
        try:
            for page in request.pages:
                _look(request, label, page)
        except ModelMeterError as error:
            refused[label] = str(error)
    return refused


def check_named(models: Sequence[str], pages: Sequence[tuple[int, int]]) -> None:
    """Refuse too few models or too many, and what is named twice.

    Raises
    ------
    WorkloadError
        If there are.
    """
    count = len(models)
    if count == 1:
        raise WorkloadError(
            "there is no other model to compare it with", place=models[0], expected=f"from {FEWEST} to {MOST} models"
        )
    if not FEWEST <= count <= MOST:
        raise WorkloadError(
            "this many models are not compared", place="MODEL", expected=f"from {FEWEST} to {MOST}", found=count
        )
    for words, listed in (("MODEL", models), ("--page", pages)):
        twice = _find_twice(listed)
        if twice is not None:
            raise WorkloadError("the same is named twice", place=words, found=twice)


def _find_twice(listed: Iterable[Any]) -> Any:
    seen = set()
    for each in listed:
        if each in seen:
            return "x".join(map(str, each)) if isinstance(each, tuple) else each
        seen.add(each)
    return None


def _look(request: ComparisonRequest, label: str, page: tuple[int, int]) -> ModelOnPage:
    name, _, mode = label.partition(MODE_MARK)
    if find_serving(name).item_sizes:
        raise refuse_text(label)
    found = plan_request(
        evolve(
            request.plan, model=name, page=page, output_tokens=request.output_tokens, modes=(mode,) if mode else (),
            pages=None, workload=None,
        )
    )  # fmt: skip
    mix = found.chosen.setup.mix
    sizes = list_page_sizes(mix) | mix.model.serving.name_sizes(steps=mix.classes[0].num_steps)
    return ModelOnPage(
        label=label,
        page=page,
        plan=found,
        peak_activation_bytes=mix.model.measure_peak("request", **sizes),
        cache_bytes=mix.model.evaluate("request", **sizes).kv_cache_bytes,
    )


def refuse_text(label: str) -> WorkloadError:
    """Return the error for a model that sees no pages."""
    return WorkloadError(
        "this model does not look at pages, and only pages are compared", place=label,
        remedy="plan its requests with modelmeter plan, or ask of its formulas with modelmeter solve",
    )  # fmt: skip


def list_page_sizes(mix: PageMix) -> dict[str, Any]:
    """Return the sizes of a page and its prompt, and the widths, by the names of the evaluators."""
    page = mix.classes[0]
    named = mix.model.serving.name_sizes(seq_len=page.seq_len, logits_tokens=page.logits_tokens, batch_size=1)
    return {**dict(page.views), **named, **mix.model.bits}
