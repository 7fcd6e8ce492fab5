"""Derivations: what they show adds up, read as a person reads it; and one wrong coefficient is found."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pytest
import sympy
from attrs import evolve
from latex_reader import Number, Reader
from page_reader import WORKLOADS, build, formula_of_page, odd_sizes

from modelmeter.backends.latex.printer import print_display, print_latex
from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import ceil_div, floor_div
from modelmeter.dimensions.symbols import ANY_LAYER, symbol
from modelmeter.metrics.cost import Cost
from modelmeter.publishing.derivation.derivation import Derivation, DerivationMaker
from modelmeter.publishing.derivation.proof import prove_sums
from modelmeter.publishing.derivation.summands import round_up
from modelmeter.publishing.formula import SHOWN
from modelmeter.publishing.page_input import PageInput
from modelmeter.publishing.page_spec import LayerPage, Pages, StagePage
from modelmeter.support.errors import FormulaError

N, a, b, d = symbol("num_tokens"), symbol("in_features"), symbol("out_features"), symbol("hidden_size")


def make_maker(model: CompiledModel, **changed: Any) -> DerivationMaker:
    return DerivationMaker(
        source=PageInput(
            **{
                "definition": model.definition, "model": model.model, "totals": model.totals, "peaks": model.peaks,
                "catalogue": model.catalogue, "defaults": model.defaults, **changed,
            }
        )
    )  # fmt: skip


def find_layer(pages: Pages, name: str) -> LayerPage:
    return next(page for page in pages.layers if page.name == name)


def find_stage(pages: Pages, name: str) -> StagePage:
    return next(page for page in pages.stages if page.name == name)


def read_steps(derivation: Derivation, page: LayerPage | StagePage, sizes: Mapping[str, int]) -> list[Number]:
    """Return the values of the steps as their LaTeX says them, at sizes of which no two are equal."""
    reader = Reader({row.symbol.letter: sizes[row.name] for row in page.section.sizes})
    for part in derivation.names:
        reader.values[part.name.letter] = reader.read(print_latex(part.definition))
    return [reader.read(print_display(step.lines)) for step in derivation.steps]


def show_calls(derivation: Derivation) -> list[tuple[str, str, list[str]]]:
    return [
        (step.title, call.layer.title, [f"{symbol.name}={print_latex(size)}" for symbol, size in call.sizes])
        for step in derivation.steps
        for call in step.calls
    ]


class TestByHand:
    """Derivations whose steps are counted here."""

    def test_a_linear_layer_is_one_operator(self, published: CompiledModel) -> None:
        """Of each token, each output and each input one multiply-accumulate, 2 FLOPs."""
        found = make_maker(published).of_layer(find_layer(build(published), "linear"))
        (step,) = found["tensor_core_flops"].steps
        assert (step.title, step.calls, print_display(step.lines)) == (
            "addmm",
            (),
            r"2 \, N \, d_{\mathrm{in}} \, d_{\mathrm{out}}",
        )
        assert found["kv_cache_bytes"].steps == ()

    def test_the_mlp_of_the_decoder_is_three_projections_and_a_product(self, published: CompiledModel) -> None:
        found = make_maker(published).of_layer(find_layer(build(published), "deepseek_v2_mlp"))
        assert [step.title for step in found["tensor_core_flops"].steps] == ["gate_proj", "up_proj", "down_proj"]
        up = ["in_features=d", r"out_features=d_{\mathrm{ff}}"]
        down = [r"in_features=d_{\mathrm{ff}}", "out_features=d"]
        assert show_calls(found["tensor_core_flops"]) == [
            ("gate_proj", "Linear", up), ("up_proj", "Linear", up), ("down_proj", "Linear", down),
        ]  # fmt: skip
        assert {call.flags for step in found["tensor_core_flops"].steps for call in step.calls} == {("bias=False",)}
        assert [step.title for step in found["cuda_core_flops"].steps] == ["mul", "act_fn"]

    def test_the_experts_read_the_weights_that_tokens_choose(self, published: CompiledModel) -> None:
        """Of 64 experts with three matrices of 1280 x 896 weights, 16 bits each; one token chooses 6 of them."""
        entry = next(each for each in published.catalogue if each.name == "deepseek_v2_moe")
        smaller = evolve(entry, sizes={**entry.sizes, "num_tokens": 1})
        catalogue = tuple(smaller if each is entry else each for each in published.catalogue)
        found = make_maker(published, catalogue=catalogue).of_layer(find_layer(build(published), "deepseek_v2_moe"))
        (spared,) = (step for step in found["io_bytes"].steps if "no token" in step.note)
        assert spared.value == -(64 - 6) * 3 * 1280 * 896 * 16 // 8

    def test_a_stage_is_its_layers(self, published: CompiledModel) -> None:
        """The layer without experts, the eleven others, and logits of 129,280 tokens from 1,280 channels."""
        found = make_maker(published).of_stage(find_stage(build(published), "prefill"))["tensor_core_flops"]
        assert [(step.title, [print_latex(call.times) for call in step.calls]) for step in found.steps] == [
            ("model.layers.0", ["1"]), ("model.layers.1-11", ["11"]), ("lm_head", ["1"]),
        ]  # fmt: skip
        assert found.steps[-1].value == 2 * 913 * 1280 * 129280

    def test_a_request_is_its_stages(self, published: CompiledModel) -> None:
        found = make_maker(published).of_stage(find_stage(build(published), "request"))
        assert [step.title for step in found["io_bytes"].steps] == ["vision", "projector", "prefill", "decode"]
        assert [step.title for step in found["kv_cache_bytes"].steps] == ["decode"], "what the last step leaves"
        assert found["activation_bytes"].is_largest
        # README: the activations of the vision tower are the largest
        assert found["activation_bytes"].value == 11_814_300_536


class TestAsShown:
    """What a person reads off a page adds up."""

    def test_of_every_stage(self, compiled: CompiledModel, pages: Pages) -> None:
        maker = make_maker(compiled)
        for page in pages.stages:
            if page.name == "request":
                continue
            for metric, derivation in maker.of_stage(page).items():
                sizes = odd_sizes(compiled, WORKLOADS[-1])
                expected = evaluate(formula_of_page(compiled, page.name, metric), sizes)
                assert sum(read_steps(derivation, page, sizes)) == expected, (page.name, metric)

    def test_of_every_layer(self, compiled: CompiledModel, pages: Pages) -> None:
        maker, sizes = make_maker(compiled), odd_sizes(compiled, WORKLOADS[0])
        for page in pages.layers:
            for metric, derivation in maker.of_layer(page).items():
                block = page.section.find(metric)
                assert block is not None
                expected = sum((evaluate(part.source, sizes) for part in block.formula.parts), start=Fraction(0))
                assert sum(read_steps(derivation, page, sizes)) == expected, (page.name, metric)

    def test_values_add_up_to_that_of_the_page(self, compiled: CompiledModel, pages: Pages) -> None:
        maker = make_maker(compiled)
        for page in pages.stages:
            for metric, derivation in maker.of_stage(page).items():
                block = page.section.find(metric)
                assert block is not None
                assert derivation.value == block.value, (page.name, metric)


class TestDamage:
    """One altered coefficient."""

    @staticmethod
    def alter(model: CompiledModel, name: str, **cost: object) -> DerivationMaker:
        (entry,) = (entry for entry in model.catalogue if entry.name == name)
        altered = evolve(entry, cost=evolve(entry.cost, **cost))
        return make_maker(model, catalogue=tuple(altered if each is entry else each for each in model.catalogue))

    def test_in_an_operator_fails_the_layer_around_it(self, published: CompiledModel) -> None:
        """A multiply-accumulate of 3 FLOPs in the linear layers, of which an MLP of CLIP has two."""
        maker = self.alter(published, "linear", tensor_core_flops=3 * N * a * b)
        with pytest.raises(FormulaError, match=r"notp_feedforward, tensor_core_flops: the steps .* do not add up"):
            maker.of_layer(find_layer(build(published), "notp_feedforward"))

    def test_in_a_layer_fails_the_stage(self, published: CompiledModel) -> None:
        """A byte more for each token that is embedded."""
        (embedding,) = (entry for entry in published.catalogue if entry.name == "embedding")
        maker = self.alter(published, "embedding", io_bytes=embedding.cost.io_bytes + N)
        with pytest.raises(FormulaError, match=r"prefill, io_bytes: the steps"):
            maker.of_stage(find_stage(build(published), "prefill"))

    def test_in_a_stage_fails_the_request(self, published: CompiledModel) -> None:
        stages = published.totals.by_stage
        decode: Cost = stages["decode"]
        wrong = evolve(decode, cuda_core_flops=decode.cuda_core_flops + symbol("batch_size"))
        root = published.model.node.path
        by_module = {**published.totals.by_module, root: {**published.totals.by_module[root], "decode": wrong}}
        maker = make_maker(published, totals=evolve(published.totals, by_module=by_module))
        with pytest.raises(FormulaError, match=r"request, cuda_core_flops: the steps"):
            maker.of_stage(find_stage(build(published), "request"))

    def test_a_formula_that_is_not_what_was_compiled(self, published: CompiledModel) -> None:
        page = find_layer(build(published), "silu")
        block = page.section.metrics[1]
        part = block.formula.parts[0]
        shown = evolve(block, formula=evolve(block.formula, parts=(evolve(part, source=part.source + 1),)))
        section = evolve(page.section, metrics=(page.section.metrics[0], shown, *page.section.metrics[2:]))
        with pytest.raises(FormulaError, match=r"silu, cuda_core_flops, as shown, part 1"):
            make_maker(published).of_layer(evolve(page, section=section))


def test_the_proof() -> None:
    prove_sums({"one": ((N + d) ** 2, [N**2, 2 * N * d, d**2]), "two": (N, [N])}, ANY_LAYER)
    with pytest.raises(FormulaError, match=r"two: .*found -1"):
        prove_sums({"one": (N, [N]), "two": (N, [N, sympy.S.One])}, ANY_LAYER)


def test_output_sides_are_written_as_layers_write_them() -> None:
    """floor((d + 1) / 2) is ceil(d / 2), and floor((d + 2) / 2) is not."""
    assert round_up(floor_div(d + 1, 2)) == ceil_div(d, 2)
    assert round_up(floor_div(d + 2, 2)) == floor_div(d + 2, 2)
    assert round_up(floor_div(floor_div(d + 2, 3) + 1, 2)) == ceil_div(d, 6)
    assert round_up(N * floor_div(d, 1)) == N * d


def test_every_metric_has_a_derivation(published: CompiledModel) -> None:
    pages = build(published)
    maker = make_maker(published)
    assert tuple(maker.of_layer(find_layer(pages, "block"))) == SHOWN
    assert "fused_io_bytes" not in maker.of_stage(find_stage(pages, "training_step"))
