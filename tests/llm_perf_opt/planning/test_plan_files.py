"""Files and pictures of a plan, and the sample in the readme."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from command_line import Run, list_files
from planned import LOAD, plan, write_csv

from llm_perf_opt.planning.pages import Page
from llm_perf_opt.planning.request import PlanRequest, plan_request
from llm_perf_opt.visualize.plan_folder import MOST_DRAWN, list_drawn


def test_files_are_the_same_on_every_run(run: Run, pages: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    arguments = ("plan", "--pages", str(pages), *LOAD, "--engine", "graphs", "--burstiness", "1", "--out")
    for name in ("one", "two"):
        assert run(*arguments, str(tmp_path / name)).code == 0
    files = list_files(tmp_path / "one")
    assert files == list_files(tmp_path / "two")
    assert {"plan.md", "plan.json", "batches.csv"} <= files.keys()
    assert {f"pictures/{name}.{suffix}" for name in ("throughput", "cost") for suffix in ("svg", "png")} <= files.keys()
    page = files["plan.md"].decode()
    assert "## What would help" in page
    # The answer before all else, then the question, with the options as they were typed.
    head = page.partition("## Pages\n")[0]
    for words in (
        "| cards (estimated) | ", "| $ a day (estimated) | ", "| limit kept with full batches | yes |",
        "| limit kept in the simulation | ", "| limit on latency | 60 s |",
        f"of {pages} |", "| preprocessing | serving |",
        "--card h100-sxm --card l4 --pages-per-day 200000", "--burstiness 1",
    ):  # fmt: skip
        assert words in head
    assert "--out" not in head
    assert re.search(r"\| l4 \| .* \| 2026-\d\d-\d\d \| 0\.7992 \|", page), "prices have their dates"
    assert "](pictures/throughput.svg)" in page
    document, rows = json.loads(files["plan.json"]), list(csv.DictReader(io.StringIO(files["batches.csv"].decode())))
    assert len(rows) == sum(len(card["batches"]) for card in document["cards"])
    assert sum(row["is_chosen"] == "true" for row in rows) == len(document["cards"])


def test_pictures_are_of_the_cheapest_cards_and_few_enough_to_be_told_apart() -> None:
    pytest.importorskip("matplotlib")
    request = PlanRequest(pages_per_second=3.0, engine="graphs", max_latency_seconds=60.0)
    found = plan_request(request)
    drawn = list_drawn(found)
    assert drawn[0] is found.chosen
    assert len({card.setup.card.hardware_id for card in drawn}) == MOST_DRAWN < len(found.cards)
    costs = [card.usd_per_million_pages for card in drawn]
    assert costs == sorted(costs, key=lambda cost: (cost is None, cost))


def test_a_hundred_thousand_pages_are_planned(run: Run, tmp_path: Path) -> None:
    """Each with other sides and output."""
    many = [Page(300 + index % 3701, 300 + index * 7 % 5701, 1 + index * 13 % 3989) for index in range(100_000)]
    path = write_csv(tmp_path / "many.csv", many)
    found = plan(run, "--pages", path, "--card", "l4")
    assert found["pages"]["num_pages"]["value"] == 100_000


def test_the_plan_in_the_readme_is_what_it_prints(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its words in this order, but for what an ellipsis stands for."""
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    ((pages, command, shown),) = re.findall(
        r"```csv\n(width,height.*?)```\n\n```console\n\$ modelmeter (plan .*?)\n(.*?)```", readme, re.DOTALL
    )
    (tmp_path / "pages.csv").write_text(pages, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    printed = " ".join(run(*command.split()).out.split())
    place = 0
    for part in " ".join(shown.split()).split(" ..."):
        assert part.strip() in printed[place:]
        place = printed.index(part.strip(), place) + len(part)
