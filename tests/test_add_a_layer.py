"""The steps of "Add a layer" in the README, followed with a new layer; what is left out fails as the README says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from attrs import evolve, field, frozen

from bound_net import LAYERS as NET_LAYERS
from bound_net import NET, PROMPT, STEP, Module, Net, batch, bind_net, width
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import Size
from modelmeter.dimensions.symbols import Dimension, Dimensions
from modelmeter.layers.base import BaseLayer, Shape, multiply, token_shape
from modelmeter.layers.child import Child, once
from modelmeter.layers.operators import apply_pointwise
from modelmeter.layers.tape import Buffer, LiveOperator, Tape
from modelmeter.metrics.cost import Elements, Operator
from modelmeter.metrics.operator_table import vector_flops
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.support.errors import BindError, FormulaError
from modelmeter.support.generated_files import StaleError, check_files, write_files

README = " ".join((Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8").split())
STEPS = README.partition("## Add a layer")[2].partition("## Add a language")[0]


# --- step 1: the class ------------------------------------------------------------------------------------------


@frozen(kw_only=True, slots=False)
class Unordered(BaseLayer):
    """Step 1 without ``replay``: ``x * weight + x``, two operators that need an order."""

    leading_shape: Shape = field(metadata={"canonical": token_shape})
    hidden_size: Size

    @property
    def output_shape(self) -> Shape:
        return (*self.leading_shape, self.hidden_size)

    @property
    def own_parameters(self) -> Size:
        return self.hidden_size

    def operators(self) -> tuple[Operator, ...]:
        elements = multiply(self.output_shape)
        weighted = Elements(activation=elements, weight=self.hidden_size)
        return (
            apply_pointwise("mul", elements, reads=weighted),
            apply_pointwise("add", elements, reads=Elements(activation=2 * elements)),
        )


@frozen(kw_only=True, slots=False)
class Highway(Unordered):
    """The whole of step 1."""

    def replay(self, tape: Tape, *inputs: Buffer) -> tuple[Buffer, ...]:
        (features,) = inputs
        scale, add = self.operators()
        return (tape.run(add, tape.run(scale, features), features),)


def test_1_a_class_needs_an_output_shape_and_an_order() -> None:
    with pytest.raises(TypeError, match=r"abstract method '?output_shape"):
        type("Shapeless", (BaseLayer,), {})()  # type: ignore[abstract]
    with pytest.raises(
        FormulaError, match="Unordered: " + quote("a layer does not say in which order its operators run")
    ):
        replay(Unordered(leading_shape=(7,), hidden_size=5))
    (live,) = replay(Highway(leading_shape=(7,), hidden_size=5))
    assert live.alive == Elements(activation=3 * 7 * 5), "the input, the product and the sum, as the sum is made"


def replay(layer: BaseLayer) -> list[LiveOperator]:
    tape = Tape()
    layer.replay(tape, Buffer(Elements(activation=35)))
    return list(tape.list_operators())


def quote(message: str) -> str:
    """Return a message as a pattern; the README has to quote it."""
    assert f"`{message}`" in STEPS, message
    return re.escape(message)


# --- steps 2 and 3: the torch module, and the children of the layer above --------------------------------------------


@frozen(kw_only=True, slots=False)
class WiderNet(Net):
    """The net with the new layer among its children."""

    @classmethod
    def torch_class(cls) -> str:
        return "Net"

    def build_children(self) -> Mapping[str, Child]:
        highway = Highway(leading_shape=(batch, self.positions), hidden_size=width)
        return {**super().build_children(), "highway": once(highway)}


LAYERS = {run: WiderNet(positions=net.positions, has_tower=net.has_tower) for run, net in NET_LAYERS.items()}
WIDER_NET = evolve(NET, children=(*NET.children, Module(("highway",), "Highway", (PROMPT, STEP), 5)))
"""What TorchInfo sees of the net with the new module."""


def test_2_a_layer_needs_its_torch_module() -> None:
    with pytest.raises(BindError, match=quote("the layer has a child that the torch module lacks")):
        bind_net(NET, LAYERS)


def test_3_a_module_needs_a_layer_among_the_children_of_the_one_above() -> None:
    with pytest.raises(BindError, match=rf"highway: {quote('no layer models this module')}.*add it to the children of"):
        bind_net(WIDER_NET, NET_LAYERS)


def test_with_both_the_layer_is_part_of_the_sums() -> None:
    """5 more parameters of 16 bits; of a batch of 2 with 7 tokens, 2 FLOPs for each of 70 elements."""
    before, after = NET_LAYERS["prefill"].cost, bind_net(WIDER_NET, LAYERS).layer.cost
    more = {metric: after[metric] - before[metric] for metric in ("weight_bytes", "cuda_core_flops")}
    sizes = {"batch_size": 2, "seq_len": 7, "hidden_size": 5, "weight_bits": 16}
    assert evaluate(more["weight_bytes"], sizes) == 5 * 2
    assert evaluate(more["cuda_core_flops"], sizes) == 2 * (2 * 7 * 5)


# --- step 4: sizes and operators ------------------------------------------------------------------------------------


def test_4_a_size_and_its_latex_name_and_an_operator_have_to_be_known() -> None:
    with pytest.raises(FormulaError, match=quote("no dimension has this name")):
        symbol("num_lanes")
    lanes = Dimension(name="num_lanes", unit="lanes", kind="local", meaning="lanes of a highway")
    with pytest.raises(FormulaError, match=quote("a size has no LaTeX name")):
        Dimensions(local={"num_lanes": lanes})
    known = Dimensions(local={"num_lanes": lanes}, latex={"num_lanes": "n_l"})
    assert known.symbol("num_lanes").name == "num_lanes"
    with pytest.raises(FormulaError, match=quote("the table has no weight for this operator")):
        vector_flops("merge_lanes", 7)


# --- step 5: cases ---------------------------------------------------------------------------------------------------


def test_5_a_layer_without_cases_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    test_layers = pytest.importorskip("test_layers", reason="it needs torch")
    assert "`test_every_class_has_cases_in_which_every_size_of_it_varies`" in STEPS
    monkeypatch.setitem(test_layers.LAYERS, "highway", Highway)
    with pytest.raises(AssertionError):
        test_layers.test_every_class_has_cases_in_which_every_size_of_it_varies("highway")


def test_5_a_case_compares_the_layer_with_its_torch_module() -> None:
    """At two sizes, both types: operators by path, parameters, output shape and all metrics, to the last bit."""
    torch = pytest.importorskip("torch")
    from layer_check import check_layer
    from modelmeter.graph.dtypes import default_dtype

    class TorchHighway(torch.nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self, hidden_size: int) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(hidden_size))

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return features * self.weight + features

    layer = Highway(leading_shape=(symbol("num_tokens"),), hidden_size=symbol("hidden_size"))
    for tokens, channels in ((7, 5), (3, 11)):
        for dtype in (torch.bfloat16, torch.float32):
            with default_dtype(dtype):
                module, features = TorchHighway(channels), torch.zeros(tokens, channels)
                sizes = {"num_tokens": tokens, "hidden_size": channels}
                check_layer(layer, sizes, module, lambda module=module, features=features: module(features))
                wrong = evolve(layer, hidden_size=2 * symbol("hidden_size"))
                with pytest.raises(AssertionError):
                    check_layer(wrong, sizes, module, lambda module=module, features=features: module(features))


# --- step 6: the generated files -------------------------------------------------------------------------------------


def test_6_generated_files_that_were_not_made_again_are_stale(tmp_path: Path) -> None:
    before = {"package/layers.py": "# Generated by modelmeter\nLAYERS = ()\n"}
    write_files(before, tmp_path)
    check_files(before, tmp_path)
    assert "`make check`" in STEPS
    with pytest.raises(StaleError) as caught:
        check_files({"package/layers.py": "# Generated by modelmeter\nLAYERS = ('highway',)\n"}, tmp_path)
    assert "highway" in caught.value.diff
