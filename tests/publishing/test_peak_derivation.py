"""What a peak is made of on its page: the tensors beside each operator that can be the largest, proved to add up."""

from __future__ import annotations

import re
from fractions import Fraction
from math import ceil

import pytest
from attrs import evolve

import deepseek_ocr_costs as costs
from modelmeter.analysis.peak import Peak
from modelmeter.compiled_model import CompiledModel
from modelmeter.publishing.derivation.peaks import derive_peak
from modelmeter.publishing.page_input import PageInput
from modelmeter.publishing.peak_formula import PeakCase, arrange_peak
from modelmeter.support.errors import FormulaError

STAGES = ("vision", "projector", "prefill", "decode")


@pytest.fixture(scope="module")
def source(published: CompiledModel) -> PageInput:
    return PageInput(
        definition=published.definition, model=published.model, totals=published.totals, peaks=published.peaks,
        catalogue=published.catalogue, defaults=published.defaults,
    )  # fmt: skip


@pytest.mark.parametrize("stage", STAGES)
def test_what_is_alive_adds_up_to_the_peak_that_the_package_computes(source: PageInput, stage: str) -> None:
    found = derive_peak(source, stage, arrange_peak(stage, source.peaks[stage], source.definition))
    assert found.value == getattr(costs, f"{stage}_peak_activation_bytes")()
    (reached,) = (moment for moment in found.moments if moment.is_reached)
    assert ceil(sum(part.value for part in reached.parts)) == found.value
    for moment in found.moments:
        assert sum(part.value for part in moment.parts) == moment.value <= reached.value


def test_the_peak_of_the_prompt_is_that_of_the_logits(source: PageInput) -> None:
    """913 positions of 129,280 logits of 16 bits, and their copies in float32; the head's input and ids are small."""
    found = derive_peak(source, "prefill", arrange_peak("prefill", source.peaks["prefill"], source.definition))
    (reached,) = (moment for moment in found.moments if moment.is_reached)
    parts = {(part.operator, part.path): part.value for part in reached.parts}
    assert parts["mm", "lm_head"] == 913 * 129280 * 2
    assert parts["_to_copy", ""] == 913 * 129280 * 4
    assert parts["", "model.embed_tokens"] == 913 * 8, "the ids, of 64 bits, that the caller holds"


@pytest.mark.parametrize("stage", STAGES)
def test_an_altered_coefficient_of_a_live_tensor_is_found(source: PageInput, stage: str) -> None:
    formula = arrange_peak(stage, source.peaks[stage], source.definition)
    (first, *others) = source.peaks[stage].operators
    (live, *rest) = first.alive
    wrong = evolve(first, alive=(evolve(live, bits=live.bits * Fraction(65, 64)), *rest))
    altered = evolve(source, peaks={**source.peaks, stage: Peak(operators=(wrong, *others))})
    with pytest.raises(FormulaError, match="does not add up to its part of the peak"):
        derive_peak(altered, stage, formula)


@pytest.mark.parametrize("stage", STAGES)
def test_an_altered_coefficient_of_the_page_is_found(source: PageInput, stage: str) -> None:
    formula = arrange_peak(stage, source.peaks[stage], source.definition)
    (case, *others) = formula.cases
    ((layer, row), *rest) = case.rows
    altered: PeakCase = evolve(case, rows=((layer, row * 65 / 64), *rest))
    with pytest.raises(FormulaError, match="the page shows the largest of other sums"):
        derive_peak(source, stage, evolve(formula, cases=(altered, *others)))


def test_a_missing_moment_is_found(source: PageInput) -> None:
    """The page shows the largest of all, not of all but one."""
    formula = arrange_peak("projector", source.peaks["projector"], source.definition)
    fewer = Peak(operators=source.peaks["projector"].operators[1:])
    with pytest.raises(FormulaError, match="the page shows the largest of other sums"):
        derive_peak(evolve(source, peaks={**source.peaks, "projector": fewer}), "projector", formula)


def test_the_page_lists_what_is_alive(site: dict[str, bytes]) -> None:
    html = site["stages/prefill.html"].decode()
    section = html[html.index('id="peak_activation_bytes"') :]
    moments = re.findall(r"<summary>\d+\. <code>.*?</code>: (.*?) bytes(, the largest)?</summary>", section)
    (reached,) = (re.sub(r"\D", "", value) for value, largest in moments if largest)
    assert int(reached) == costs.prefill_peak_activation_bytes()
    assert "<code>mm</code> of <code>lm_head</code>" in section
    assert "held since <code>model.embed_tokens</code>" in section
