"""Calibrations as records and files, and which of them a card gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from predictions import make_hardware
from test_call_terms import make_calibration, make_coefficients

from llm_perf_opt.data.serialization import to_yaml
from llm_perf_opt.errors import RecordError
from llm_perf_opt.hardware import find_hardware, list_hardware
from llm_perf_opt.planning.time import (
    ENGINES,
    CalibrationPoint,
    choose_calibration,
    describe_choice,
    list_calibrations,
    load_calibration,
)
from llm_perf_opt.planning.time.records import COEFFICIENTS
from modelmeter.support.suggestions import UnknownNameError


def make_point(name: str, predicted: float, left_out: float | None = None, role: str = "checked") -> CalibrationPoint:
    return CalibrationPoint(
        measurement_id=name, role=role, measured_seconds=4.0, predicted_seconds=predicted, left_out_seconds=left_out
    )


def test_errors_are_those_of_what_was_checked() -> None:
    # 5 / 4, 3 / 4 and 4.2 / 4: errors of 0.25, 0.25 and 0.05; what was fitted does not count.
    points = [make_point("a", 5), make_point("b", 3), make_point("c", 4.2), make_point("d", 9, role="fitted")]
    calibration = make_calibration(make_coefficients(), points=points)
    assert calibration.median_error == calibration.worst_error == 0.25
    assert [point.measurement_id for point in calibration.fitted] == ["d"]


def test_where_nothing_was_checked_they_are_those_of_what_was_left_out() -> None:
    points = [make_point("a", 4, 6, "fitted"), make_point("b", 4, None, "fitted"), make_point("c", 4, 3.6, "fitted")]
    calibration = make_calibration(make_coefficients(), points=points)
    assert calibration.worst_error == 0.5
    assert calibration.median_error == pytest.approx(0.3, abs=1e-12)  # of 0.5 and 0.1


def test_where_nothing_tells_there_is_none() -> None:
    calibration = make_calibration(make_coefficients(), points=[])
    assert calibration.median_error is calibration.worst_error is None
    assert "no measurement tells its error" in describe_choice(calibration, make_hardware())


def test_every_coefficient_says_how_it_is_known() -> None:
    with pytest.raises(RecordError, match="found none of matrix_product_efficiency"):
        make_calibration(make_coefficients(), origins=dict.fromkeys(COEFFICIENTS[1:], "assumed"))
    with pytest.raises(RecordError, match="undetermined"):
        make_calibration(make_coefficients(), undetermined=["speed"])


def test_a_file_is_read_back(tmp_path: Path) -> None:
    calibration = make_calibration(make_coefficients(step_seconds=1.25e-4), memory_class="GDDR", notes="ours")
    path = tmp_path / "ours.yaml"
    path.write_text(to_yaml(calibration), encoding="utf-8")
    assert load_calibration(str(path)) == calibration
    # A file is taken for any card, and says so.
    assert choose_calibration(make_hardware(memory_class="HBM"), str(path)) == calibration
    assert "for cards with GDDR, while An abacus has HBM" in describe_choice(
        calibration, make_hardware(memory_class="HBM")
    )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("card", list_hardware())
def test_the_memory_of_a_card_chooses(card: str, engine: str) -> None:
    hardware = find_hardware(card)
    if hardware.memory_class == "LPDDR":
        with pytest.raises(RecordError, match="of this card; expected GDDR or HBM; found LPDDR"):
            choose_calibration(hardware, engine)
        return
    chosen = choose_calibration(hardware, engine)
    assert (chosen.engine, chosen.memory_class) == (engine, hardware.memory_class)
    assert f"{chosen.name}, for cards with {hardware.memory_class}" in describe_choice(chosen, hardware)


def test_the_choice_says_between_which_sizes_it_was_fitted() -> None:
    """One sequence and 87 of them were measured on the H200, and none beyond."""
    card = find_hardware("h200-sxm")
    words = describe_choice(choose_calibration(card, "graphs"), card)
    assert "measured on h200-sxm, fitted on calls of 1 to 87 sequences; error 11 % at the median and 17 %" in words


def test_a_card_without_a_class_and_an_unknown_name_are_refused() -> None:
    with pytest.raises(RecordError, match="of this card; expected GDDR or HBM; found none"):
        choose_calibration(make_hardware(memory_class=None), "graphs")
    with pytest.raises(UnknownNameError, match="graphs-gddr"):
        choose_calibration(make_hardware(), "graphs-gdr")


def test_each_engine_and_class_has_one_calibration() -> None:
    shipped = [load_calibration(name) for name in list_calibrations()]
    assert [each.name for each in shipped] == list(list_calibrations())
    kinds = [(each.engine, each.memory_class) for each in shipped]
    assert sorted(set(kinds)) == sorted(kinds) == [(e, m) for e in ("eager", "graphs") for m in ("GDDR", "HBM")]
