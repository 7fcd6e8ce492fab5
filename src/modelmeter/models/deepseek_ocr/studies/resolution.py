"""Modes and resolutions: what a sharper view of a page costs, and which mode is the cheapest for how much text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from modelmeter.metrics.metric import PEAK
from modelmeter.model.stages import REQUEST
from modelmeter.scaling import stage
from modelmeter.scaling.compiled_formulas import CompiledFormulas
from modelmeter.scaling.quantity import Quantity
from modelmeter.scaling.regimes import Regimes
from modelmeter.scaling.studies.asking import Worded, ask_crossover, ask_growth, ask_largest, ask_monotone
from modelmeter.scaling.studies.asking_choices import ask_difference, ask_optimum, ask_regimes
from modelmeter.scaling.studies.asking_more import ask_steps
from modelmeter.scaling.studies.memory import budget_of
from modelmeter.scaling.studies.parts import slug, stage_metric
from modelmeter.scaling.studies.pictures import draw, log_range, tabulate, values_at, write_where
from modelmeter.scaling.studies.records import (
    Cell,
    ClosedForm,
    Column,
    Finding,
    IdentifiedStatement,
    Study,
    StudyTable,
    Subject,
)
from modelmeter.scaling.studies.words import METRIC_WORDS, write_percent

ID: Final = "resolution-and-modes"

MODES: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {
        "tiny": {"base_size": 512, "image_size": 512, "num_width_tiles": 1, "num_height_tiles": 1},
        "small": {"base_size": 640, "image_size": 640, "num_width_tiles": 1, "num_height_tiles": 1},
        "base": {"base_size": 1024, "image_size": 1024, "num_width_tiles": 1, "num_height_tiles": 1},
        "large": {"base_size": 1280, "image_size": 1280, "num_width_tiles": 1, "num_height_tiles": 1},
        "gundam": {"base_size": 1024, "image_size": 640, "num_width_tiles": 2, "num_height_tiles": 3},
        "gundam-m": {"base_size": 1280, "image_size": 1024, "num_width_tiles": 2, "num_height_tiles": 3},
    }
)
"""The vendor's modes, for an A4 page: the tiles of the last two are 2 x 3."""

_NEAR: Final = Fraction(11, 10)
"""Of the cheapest mode: another that costs no more is as good as it."""

_TEXT: Final = "max_new_tokens"
_SIDES: Final = ("base_size", "image_size")


def _find(subject: Subject) -> Iterator[Finding]:
    model = subject.model
    yield from _find_modes(model)
    for one, other in pairwise(MODES):
        for metric in ("tensor_core_flops", "io_bytes", "kv_cache_bytes", PEAK):
            dear, cheap = (_in_mode(model, REQUEST, metric, mode) for mode in (other, one))
            yield ask_crossover(f"{ID}/{other}-over-{one}-{slug(metric)}", dear, cheap, _TEXT)
    yield from _compare_modes(model)
    for mode in MODES:
        for metric in ("tensor_core_flops", "io_bytes"):
            decode = _in_mode(model, "decode", metric, mode)
            for name in ("vision", "prefill"):
                read = _in_mode(model, name, metric, mode)
                yield ask_crossover(f"{ID}/{mode}-decode-over-{name}-{slug(metric)}", decode, read, _TEXT)
        for card in subject.cards:
            held = _memory_in_mode(model, mode)
            yield ask_largest(f"{ID}/{card.id}-{mode}-memory", held, budget_of(card), "batch_size")
    yield from _find_sides(model)


def _in_mode(model: CompiledFormulas, name: str, metric: str, mode: str) -> Worded:
    worded = stage_metric(model, name, metric, **MODES[mode])
    return Worded(worded.quantity, f"{worded.words} in mode {mode}")


def _memory_in_mode(model: CompiledFormulas, mode: str) -> Worded:
    request = stage(model, REQUEST)
    held = request.weight_bytes + request.kv_cache_bytes + request.metric(PEAK)
    text = f"the memory (bytes) of weights, cache and activations of a request in mode {mode}"
    return Worded(held.at(**MODES[mode]), text)


def tokens_of(model: CompiledFormulas) -> Worded:
    """Return the image tokens of a prompt."""
    (formula,) = (each.formula for each in model.definition.derived if each.name == "image_tokens")
    context = stage(model, "vision").metric("tensor_core_flops").context
    quantity = Quantity(formula=formula, name="image_tokens", unit="tokens", context=context)
    return Worded(quantity, "the number of image tokens of a page")


def _find_modes(model: CompiledFormulas) -> Iterator[Finding]:
    tokens = tokens_of(model)
    rows: list[tuple[Cell, ...]] = []
    for mode, sizes in MODES.items():
        count = values_at(tokens.quantity.at(**sizes), _TEXT, [1024])[0]
        costs = [
            values_at(stage_metric(model, name, metric, **sizes).quantity, _TEXT, [1024])[0]
            for name, metric in (
                ("vision", "tensor_core_flops"), ("prefill", "tensor_core_flops"), ("decode", "tensor_core_flops"),
                (REQUEST, "io_bytes"), (REQUEST, "kv_cache_bytes"), (REQUEST, PEAK),
            )
        ]  # fmt: skip
        rows.append((mode, *sizes.values(), count, *costs))
    yield StudyTable(
        name="modes", title="The modes, for an A4 page and 1,024 new tokens",
        columns=(
            Column(name="mode"), *(Column(name=side, unit="pixels") for side in _SIDES),
            *(Column(name=side, unit="tiles") for side in ("num_width_tiles", "num_height_tiles")),
            Column(name="image_tokens", unit="tokens"),
            Column(name="vision_tensor_core_flops", unit="FLOPs"),
            Column(name="prefill_tensor_core_flops", unit="FLOPs"),
            Column(name="decode_tensor_core_flops", unit="FLOPs"), Column(name="request_io_bytes", unit="bytes"),
            Column(name="request_kv_cache_bytes", unit="bytes"), Column(name=f"request_{PEAK}", unit="bytes"),
        ),
        rows=tuple(rows), where=write_where([_in_mode(model, REQUEST, "io_bytes", mode) for mode in MODES], _TEXT),
    )  # fmt: skip
    yield from _say_default(model, tokens)
    lines = {mode: _in_mode(model, REQUEST, "tensor_core_flops", mode) for mode in MODES}
    yield draw("modes", "Matrix products of a request in each mode", lines, _TEXT, "FLOPs", log_range(16, 2**14))


def _say_default(model: CompiledFormulas, tokens: Worded) -> Iterator[str]:
    """Yield which mode the page of the other studies is in, and what its prompt is made of."""
    for mode, sizes in MODES.items():
        if all(model.defaults[name] == value for name, value in sizes.items()):
            listed = ", ".join(f"{name} = {value:,}" for name, value in sizes.items())
            (count,) = values_at(tokens.quantity, _TEXT, [1])
            text, whole = model.defaults["prompt_tokens"], model.defaults["seq_len"]
            yield (
                f"The other studies are of a page of {sizes['num_width_tiles']} x {sizes['num_height_tiles']} tiles in "
                f"mode **{mode}** ({listed}): its prompt of seq_len = {whole:,} tokens is {int(count):,} image "
                f"tokens and {text:,} tokens of text."
            )


def _compare_modes(model: CompiledFormulas) -> Iterator[Finding]:
    """Yield what a mode costs more than the one before, stage by stage, and which costs least per image token."""
    stages = model.definition.stage_names
    for metric in ("tensor_core_flops", "io_bytes"):
        for one, other in pairwise(MODES):
            dear, cheap = ({name: _in_mode(model, name, metric, mode) for name in stages} for mode in (other, one))
            said = (f"{METRIC_WORDS[metric]} of a request in mode {other}", f"that in mode {one}")
            yield ask_difference(f"{ID}/{other}-less-{one}-{slug(metric)}", dear, cheap, _TEXT, said)
        costs = {
            "page": {mode: _in_mode(model, REQUEST, metric, mode) for mode in MODES},
            "image token": {mode: _per_token(model, REQUEST, metric, MODES[mode]) for mode in MODES},
        }
        cheapest = {
            of: ask_regimes(
                f"{ID}/per-{slug(of).removeprefix('image-')}-{slug(metric)}", by_mode, _TEXT,
                f"{METRIC_WORDS[metric]} of a request per {of} is the smallest in these modes, by {_TEXT}",
                goal="smallest",
            )
            for of, by_mode in costs.items()
        }  # fmt: skip
        yield from cheapest.values()
        yield from _say_per_page(metric, costs["page"], cheapest["page"])


def _say_per_page(metric: str, per_page: Mapping[str, Worded], cheapest: IdentifiedStatement) -> Iterator[Finding]:
    """Yield from which text length on each mode costs less than a tenth more than the one that is always cheapest."""
    statement = cheapest.statement
    assert isinstance(statement, Regimes)
    winners = {each.winner for each in statement.regimes}
    (least,) = winners if len(winners) == 1 else (None,)
    if least is None:
        return
    found: dict[str, IdentifiedStatement] = {}
    cheap = per_page[least]
    # A product has the sizes of a mode in its formula: what they are, is to be told from those of the other mode.
    _, fixed = cheap.quantity.context.fill(cheap.quantity.formula, cheap.quantity.values, [_TEXT])
    for mode, cost in per_page.items():
        if mode != least:
            bound = Worded(cheap.quantity * _NEAR, f"{cheap.words}, with {write_percent(_NEAR - 1)} added,", fixed)
            found[mode] = ask_crossover(f"{ID}/{mode}-near-{least}-{slug(metric)}", bound, cost, _TEXT)
    yield from found.values()
    near = ", ".join(
        f"{mode} from {int(each.value):,}" for mode, each in found.items() if each.value is not None
    )  # fmt: skip
    yield (
        f"Per page, {least} is the cheapest at every text length by {METRIC_WORDS[metric]} of a request "
        f"(`{cheapest.id}`). Another costs at most {write_percent(_NEAR - 1)} more from this {_TEXT} on: "
        f"{near} tokens (`{next(iter(found.values())).id}` and alike)."
    )


def _per_token(model: CompiledFormulas, name: str, metric: str, sizes: Mapping[str, int]) -> Worded:
    cost, tokens = stage_metric(model, name, metric, **sizes), tokens_of(model)
    return Worded(cost.quantity / tokens.quantity.at(**sizes), f"{cost.words}, per image token,")


def ask_best_side(
    study: str, model: CompiledFormulas, over: str, bounds: tuple[int, int], parts: tuple[tuple[str, str], ...]
) -> Iterator[IdentifiedStatement]:
    """Yield at which size a stage costs least per image token."""
    for name, metric in parts:
        cost = _per_token(model, name, metric, {})
        yield ask_optimum(f"{study}/{name}-{slug(metric)}-per-token", cost, over, bounds={over: bounds})


def _find_sides(model: CompiledFormulas) -> Iterator[Finding]:
    """Yield how costs grow with the sides of the view and of the tiles."""
    tokens = tokens_of(model)
    for over in _SIDES:
        formula, _ = tokens.quantity.context.fill(tokens.quantity.formula, {}, [over])
        yield ClosedForm(
            words=f"{tokens.words}, over {over}", formula=formula, unit="tokens",
            where=write_where([tokens], over),
        )  # fmt: skip
        yield ask_growth(f"{ID}/image-tokens", tokens, over)
        yield ask_monotone(f"{ID}/image-tokens", tokens, over)
        yield ask_steps(f"{ID}/image-tokens", tokens, over)
        for name, metric in (
            ("vision", "tensor_core_flops"), ("projector", "tensor_core_flops"), ("prefill", "tensor_core_flops"),
            ("prefill", "io_bytes"), ("prefill", "kv_cache_bytes"), ("decode", "io_bytes"),
        ):  # fmt: skip
            yield ask_growth(f"{ID}/{name}-{slug(metric)}", stage_metric(model, name, metric), over)
        yield ask_monotone(
            f"{ID}/vision-work", stage_metric(model, "vision", "tensor_core_flops"), over, bounds={over: (16, 2048)}
        )
        parts = (("vision", "tensor_core_flops"), ("vision", "io_bytes"), ("prefill", "io_bytes"))
        yield from ask_best_side(ID, model, over, (256, 2048), parts)
        yield tabulate(
            f"over-{slug(over)}", f"Over {over}",
            {
                "image_tokens": tokens,
                **{
                    f"{name}_tensor_core_flops": stage_metric(model, name, "tensor_core_flops")
                    for name in ("vision", "projector", "prefill", "decode")
                },
            },
            over, tuple(range(256, 2049, 64)),
        )  # fmt: skip


STUDY: Final = Study(
    id=ID, title="Resolution and modes",
    question="What does a sharper view of a page cost in each stage, and from which text length on does it not matter?",
    answers=(
        r"resolution-and-modes/per-token-tensor-core-flops/regimes/max_new_tokens",
    ),
    find=_find,
)  # fmt: skip
