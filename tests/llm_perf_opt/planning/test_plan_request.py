"""What is asked of a plan: a calibration of a file is read once, and options are on the page as they were typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve
from command_line import Run, assert_refused
from planned import write_csv

from llm_perf_opt.data.serialization import to_yaml
from llm_perf_opt.planning.pages import Page
from llm_perf_opt.planning.request import PlanRequest, plan_request
from llm_perf_opt.planning.time import Calibration, load_calibration


def test_a_calibration_that_cannot_be_read_is_not_taken_for_what_the_cards_lack(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: [\n")
    result = run("plan", "--engine", str(tmp_path / "mine.yaml"))
    assert_refused(result, f"error: {tmp_path / 'mine.yaml'}: ", "not readable as YAML")
    assert "no shipped card" not in result.err


def test_a_calibration_of_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(to_yaml(evolve(load_calibration("graphs-hbm"), name="own")))
    read = []

    def load(name: str) -> Calibration:
        read.append(name)
        return load_calibration(name)

    monkeypatch.setattr("llm_perf_opt.planning.request.load_calibration", load)
    found = plan_request(PlanRequest(engine=str(own), modes=("tiny", "small")))
    calibrations = [card.setup.calibration for card in found.cards]
    assert len(calibrations) > 2
    assert {None if each is None else each.name for each in calibrations} == {"own"}
    assert read == [str(own)]


def test_options_on_the_page_are_as_they_were_typed(run: Run, tmp_path: Path) -> None:
    """A number loses the decimal that nobody typed; the name of a file keeps all of it."""
    pytest.importorskip("matplotlib")
    pages, out = write_csv(tmp_path / "pages-v1.0", [Page(601, 811, 7, 3)]), tmp_path / "out"
    assert run("plan", "--card", "l4", "--pages", str(pages), "--max-latency", "60", "--out", str(out)).code == 0
    assert f"--pages {pages} --card l4 --max-latency 60 |" in (out / "plan.md").read_text(encoding="utf-8")
