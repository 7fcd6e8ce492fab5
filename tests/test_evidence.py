"""The record of how formulas were checked, as a file that may be damaged, and what tells formulas apart."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from modelmeter.analysis.evidence import Check, Evidence, Subject, fingerprint
from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.functions import CeilDiv, ceil_div
from modelmeter.metrics.cost import Cost
from modelmeter.metrics.metric import METRICS
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.support.errors import EvidenceError

PUBLISHED = Path(__file__).parents[1] / "codegen" / "formulas" / "evidence.json"
BATCH, PROMPT = symbol("batch_size"), symbol("seq_len")


def make_cost(**metrics: Any) -> Cost:
    return Cost(**{"tensor_core_flops": 6 * BATCH * PROMPT + ceil_div(PROMPT, 7), **metrics})


@pytest.fixture
def evidence() -> Evidence:
    check = Check(
        metrics=("io_bytes",), implementation="reference", kind="exact at n points", modules=("a", "b"),
        dimensions=("seq_len",), domains="domains_1", note="",
    )  # fmt: skip
    return Evidence(
        versions={"torch": "2"}, layers={"linear": Subject(formulas=fingerprint(make_cost()), checks=(check,))},
        stages={}, domains={"domains_1": ("seq_len = 3", "seq_len = 5")}, operators={"reference": {"free": ("view",)}},
    )  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [
        make_cost(tensor_core_flops=7 * BATCH * PROMPT + ceil_div(PROMPT, 7)),
        make_cost(tensor_core_flops=6 * BATCH**2 * PROMPT + ceil_div(PROMPT, 7)),
        make_cost(tensor_core_flops=6 * BATCH * PROMPT + ceil_div(BATCH, 7)),
        make_cost(tensor_core_flops=6 * BATCH * PROMPT + CeilDiv(PROMPT, PROMPT + 1)),
        make_cost(io_bytes=BATCH),
    ],
    ids=["factor", "exponent", "symbol", "argument", "metric"],
)
def test_other_formulas_have_another_fingerprint(other: Cost) -> None:
    assert fingerprint(other) != fingerprint(make_cost())


def test_the_arguments_of_a_quotient_have_an_order() -> None:
    assert fingerprint(make_cost(io_bytes=CeilDiv(BATCH, PROMPT))) != fingerprint(
        make_cost(io_bytes=CeilDiv(PROMPT, BATCH))
    )


def test_the_fingerprint_is_the_same_in_another_process() -> None:
    program = (
        "from modelmeter.metrics.cost import Cost; from modelmeter.analysis.evidence import fingerprint\n"
        "from modelmeter.dimensions.functions import ceil_div\n"
        "from modelmeter.models.deepseek_ocr.dimensions import symbol\n"
        "b, s = symbol('batch_size'), symbol('seq_len')\n"
        "print(fingerprint(Cost(tensor_core_flops=ceil_div(s, 7) + 6 * s * b)))"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == fingerprint(make_cost())


def test_points_are_counted_and_sizes_named(evidence: Evidence) -> None:
    assert evidence.describe_layer("linear", make_cost()) == (
        "Exact at 2 points: ``io_bytes``, against the torch modules of the reference model; 2 modules, 2 domains; "
        "varied ``seq_len``.",
    )


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data.pop("layers"), "layers"),
        (lambda data: data["layers"]["linear"]["checks"][0].update(implementation="mine"), r"checks\[0\]"),
        (lambda data: data["layers"]["linear"]["checks"][0].update(metrics=["<b>"]), r"checks\[0\]"),
        (lambda data: data["layers"]["linear"]["checks"][0].update(kind="seen"), r"checks\[0\]"),
        (lambda data: data["layers"]["linear"]["checks"][0].update(domains="others"), "domains that are not there"),
        (lambda data: data.update(extra=1), "extra"),
    ],
    ids=["missing", "implementation", "metric", "kind", "domains", "extra"],
)
def test_a_damaged_record_is_refused_by_name(evidence: Evidence, damage: Any, message: str, tmp_path: Path) -> None:
    data = json.loads(evidence.to_json())
    damage(data)
    file = tmp_path / "evidence.json"
    file.write_text(json.dumps(data))
    with pytest.raises(EvidenceError, match=message) as caught:
        Evidence.read(file)
    assert str(file) in str(caught.value)


def test_no_file_is_no_evidence_and_an_unreadable_one_is_refused(tmp_path: Path) -> None:
    assert Evidence.read(tmp_path / "none.json") is None
    with pytest.raises(EvidenceError, match="cannot be read"):
        Evidence.read(tmp_path)
    (tmp_path / "text.json").write_text("{")
    with pytest.raises(EvidenceError, match="not JSON"):
        Evidence.read(tmp_path / "text.json")


def test_the_published_evidence_is_of_the_published_formulas_and_covers_every_metric(published: CompiledModel) -> None:
    """A formula that changes needs a new ``modelmeter verify --full``."""
    evidence = Evidence.read(PUBLISHED)
    assert evidence is not None
    for entry in published.catalogue:
        assert evidence.layers[entry.name].formulas == fingerprint(entry.cost, entry.fused_io_bytes), entry.name
    for name, cost in published.totals.by_stage.items():
        beside = published.totals.fused_io_by_stage[name], published.peaks[name].formula
        assert evidence.stages[name].formulas == fingerprint(cost, *beside), name
    assert evidence.stages["training_step"].formulas == fingerprint(published.training_step)
    for name, subject in (*evidence.layers.items(), *evidence.stages.items()):
        compared = {
            metric for check in subject.checks if check.implementation == "reference" for metric in check.metrics
        }
        assert compared >= set(METRICS), name
        # A training step keeps what it has written, and is of one reading; the peak is that of a stage.
        beside = {"fused_io_bytes"} if name != "training_step" else set()
        if name in published.totals.by_stage:
            beside |= {"peak_activation_bytes"}
        assert compared >= beside, name


def test_pages_say_nothing_of_formulas_that_have_changed(evidence: Evidence) -> None:
    changed = evolve(make_cost(), kv_cache_bytes=BATCH)
    assert evidence.describe_layer("linear", changed) == ()
    assert evidence.describe_stage("linear", make_cost(), BATCH) == (), "a layer is no stage"


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="only Unix has a file without an end")
def test_a_file_without_an_end_is_refused() -> None:
    with pytest.raises(EvidenceError, match=r"^/dev/zero: the evidence cannot be read; found it has more than"):
        Evidence.read("/dev/zero")
