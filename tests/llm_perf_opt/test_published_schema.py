"""The JSON Schema that is published beside the records is the one that follows from them."""

from __future__ import annotations

from importlib import resources

from llm_perf_opt.data.schema import report_schema_json

REMEDY = (
    "python -c 'from llm_perf_opt.data.schema import report_schema_json; print(report_schema_json(), end=\"\")' "
    "> src/llm_perf_opt/data/report.schema.json"
)


def test_it_is_current() -> None:
    published = resources.files("llm_perf_opt.data").joinpath("report.schema.json").read_text(encoding="utf-8")
    assert published == report_schema_json(), f"write it again: {REMEDY}"
