"""Round trips of whole reports, and the refusal of every single damage."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from records import make_profile, make_report
from strategies import reports, workload_profiles

from llm_perf_opt.data import AnalyticModelReport, OCRWorkloadProfile
from llm_perf_opt.data.serialization import (
    from_json,
    from_yaml,
    structure,
    to_json,
    to_yaml,
    unstructure,
)
from llm_perf_opt.data.yaml_text import dump_yaml
from llm_perf_opt.errors import RecordError

few = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
many = settings(few, max_examples=120)

Step = str | int

# Of another type, or out of range, for any field that holds the first value's type.
WRONG: dict[type, list[Any]] = {
    str: [3, True, ["a"], {"a": 1}],
    int: ["3", True, 1.5, -1, math.nan, 2**63, [3]],
    float: ["1.0", True, -0.5, math.nan, math.inf, -math.inf, [1.0]],
    bool: [1, 0, "true", None],
    list: [None, "ab", 3, {"a": 1}],
    dict: [None, "ab", 3, [1]],
    type(None): [True, ["a"], {"a": 1}, math.nan],
}
OPTIONAL = {
    "hf_revision", "num_width_tiles", "num_height_tiles", "page_width", "page_height", "preprocessing",
    "images_per_prompt", "vision_batch_size", "logits_tokens", "parent_id", "profile_run_id", "measured_total_time_ms",
    "predicted_vs_measured_ratio", "notes", "layer_docs_dir", "prediction", "config_path", "flops", "io_bytes",
    "weight_bytes", "activation_bytes", "kv_cache_bytes",
}  # fmt: skip


def steps_of(data: Any, steps: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    """Yield the way to every value inside ``data``, down to constructor arguments, which may be anything."""
    items: Any = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for step, value in items:
        yield (*steps, step)
        if step != "constructor_params":
            yield from steps_of(value, (*steps, step))


def path_of(steps: tuple[Step, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")


def value_at(data: Any, steps: tuple[Step, ...]) -> Any:
    for step in steps:
        data = data[step]
    return data


def damaged(data: dict[str, Any], steps: tuple[Step, ...], value: Any) -> dict[str, Any]:
    """Return a copy of ``data`` with one value replaced."""
    data = copy.deepcopy(data)
    value_at(data, steps[:-1])[steps[-1]] = value
    return data


def refusals(data: dict[str, Any]) -> list[str]:
    """Return how a damaged report is refused as plain data, as JSON and as YAML."""
    messages = []
    for read, source in ((structure, data), (from_json, json.dumps(data)), (from_yaml, dump_yaml(data))):
        with pytest.raises(RecordError) as caught:
            read(source, AnalyticModelReport)  # type: ignore[operator] # three functions of the same shape
        messages.append(str(caught.value))
    return messages


def assert_refused_at(data: dict[str, Any], path: str) -> None:
    for message in refusals(data):
        assert path in message


@few
@given(reports())
def test_a_report_survives_json_and_yaml(report: AnalyticModelReport) -> None:
    as_json, as_yaml = to_json(report), to_yaml(report)
    assert from_json(as_json, AnalyticModelReport) == report
    assert from_yaml(as_yaml, AnalyticModelReport) == report
    # JSON is the plain data itself, and the copy that was read back writes the same bytes.
    assert json.loads(as_json) == unstructure(report)
    assert to_json(from_yaml(as_yaml, AnalyticModelReport)) == as_json
    assert to_yaml(from_json(as_json, AnalyticModelReport)) == as_yaml


@few
@given(workload_profiles())
def test_a_profile_survives_json_and_yaml(profile: OCRWorkloadProfile) -> None:
    assert from_json(to_json(profile), OCRWorkloadProfile) == profile
    assert from_yaml(to_yaml(profile), OCRWorkloadProfile) == profile


@many
@given(reports(), st.data())
def test_a_wrong_value_is_refused_by_name(report: AnalyticModelReport, choices: st.DataObject) -> None:
    data = unstructure(report)
    steps = choices.draw(st.sampled_from(sorted(steps_of(data), key=path_of)))
    wrong = choices.draw(st.sampled_from(WRONG[type(value_at(data, steps))]))
    assert_refused_at(damaged(data, steps, wrong), path_of(steps))


@few
@given(reports(), st.data())
def test_a_missing_key_is_refused_by_name(report: AnalyticModelReport, choices: st.DataObject) -> None:
    data = unstructure(report)
    keys = [
        steps for steps in steps_of(data) if isinstance(steps[-1], str) and steps[-1] not in OPTIONAL - {"parent_id"}
    ]
    steps = choices.draw(st.sampled_from(sorted(keys, key=path_of)))
    data = copy.deepcopy(data)
    del value_at(data, steps[:-1])[steps[-1]]
    assert_refused_at(data, path_of(steps))


@few
@given(reports(), st.data())
def test_an_unknown_key_is_refused_by_name(report: AnalyticModelReport, choices: st.DataObject) -> None:
    data = unstructure(report)
    records = [()] + [steps for steps in steps_of(data) if type(value_at(data, steps)) is dict]
    steps = choices.draw(
        st.sampled_from(sorted((s for s in records if s[-1:] != ("constructor_params",)), key=path_of))
    )
    steps = (*steps, "no_such_key")
    assert_refused_at(damaged(data, steps, 1), path_of(steps))


@few
@given(reports(min_modules=2), st.data())
def test_a_dangling_id_is_refused_by_name(report: AnalyticModelReport, choices: st.DataObject) -> None:
    data = unstructure(report)
    references = [
        steps
        for steps in steps_of(data)
        if (steps[0] == "module_metrics" and steps[-1] in ("module_id", "profile_id", "category_id"))
        or (steps[0] == "modules" and steps[-1] == "parent_id" and value_at(data, steps) is not None)
        or (steps[0] == "modules" and steps[-2:-1] == ("children",))
    ]
    steps = choices.draw(st.sampled_from(sorted(references, key=path_of)))
    assert_refused_at(damaged(data, steps, "an id that nothing has"), path_of(steps))


@few
@given(reports(min_modules=2), st.data())
def test_an_id_that_is_not_unique_is_refused_by_name(report: AnalyticModelReport, choices: st.DataObject) -> None:
    data = unstructure(report)
    first, second = sorted(choices.draw(st.permutations(range(len(report.modules))))[:2])
    data = damaged(data, ("modules", second, "module_id"), report.modules[first].module_id)
    assert_refused_at(data, f"modules[{second}].module_id: the same as in modules[{first}]")


@few
@given(reports(min_modules=2), st.data())
def test_a_cycle_is_refused_by_name(report: AnalyticModelReport, choices: st.DataObject) -> None:
    """A subtree is cut off, and its top becomes the child of one of the subtree's own modules."""
    data = copy.deepcopy(unstructure(report))
    nodes = {node["module_id"]: node for node in data["modules"]}
    top = choices.draw(st.sampled_from([node for node in data["modules"] if node["parent_id"] is not None]))
    below, waiting = [], [top["module_id"]]
    while waiting:
        below.append(waiting.pop())
        waiting.extend(nodes[below[-1]]["children"])
    bottom = nodes[choices.draw(st.sampled_from(below))]
    nodes[top["parent_id"]]["children"].remove(top["module_id"])
    top["parent_id"] = bottom["module_id"]
    bottom["children"].append(top["module_id"])
    for message in refusals(data):
        named = re.match(r"modules\[(\d+)\]\.parent_id: the parents of this module lead in a circle", message)
        assert named is not None, message
        assert data["modules"][int(named[1])]["module_id"] in below


@few
@given(reports(), st.sampled_from(("", "relative/path", "./x", "~/x", "C:x", "a/../b")))
def test_a_relative_path_is_refused_by_name(report: AnalyticModelReport, path: str) -> None:
    data = unstructure(report)
    assert_refused_at(damaged(data, ("layer_docs_dir",), path), "layer_docs_dir")
    assert_refused_at(damaged(data, ("model", "config_path"), path), "model.config_path")


@pytest.mark.parametrize("share", [1.0000001, 2.0])
def test_a_share_above_one_is_refused_by_name(share: float) -> None:
    data = unstructure(make_report())
    for steps in (
        ("module_metrics", 1, "share_of_model_time"),
        ("module_metrics", 0, "operator_breakdown", 0, "share_of_module_flops"),
    ):
        assert_refused_at(damaged(data, steps, share), path_of(steps))


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"eps": math.nan}, ".eps"),
        ({"eps": math.inf}, ".eps"),
        ({"kernel_size": [3, [5]]}, ".kernel_size[1]"),
        ({"inner": {"a": 1}}, ".inner"),
        ({"bias": 2**63}, ".bias"),
        ({"": 1}, ""),
        ([], ""),
    ],
)
def test_a_wrong_constructor_argument_is_refused_by_name(value: Any, path: str) -> None:
    data = damaged(unstructure(make_report()), ("modules", 3, "constructor_params"), value)
    assert_refused_at(data, f"modules[3].constructor_params{path}")


def test_a_text_of_half_a_character_is_refused() -> None:
    """A lone surrogate is legal in JSON's escapes, but no file can hold it."""
    text = to_json(make_report()).replace('"notes": ""', '"notes": "\\ud800"')
    with pytest.raises(RecordError, match="notes: wrong value"):
        from_json(text, AnalyticModelReport)


@pytest.mark.parametrize("version", [None, 2, "1", True, 1.0])
def test_another_schema_version_is_refused(version: Any) -> None:
    data = unstructure(make_report())
    assert data["schema_version"] == 1
    assert_refused_at(damaged(data, ("schema_version",), version), "schema_version")


def test_an_argument_that_became_nan_is_not_written() -> None:
    """The mapping in a frozen record can still be changed; the writer refuses what the reader would refuse."""
    report = make_report()
    report.modules[2].constructor_params["bias"] = math.nan  # type: ignore[index] # just what must not be done
    for write in (unstructure, to_json, to_yaml):
        with pytest.raises(RecordError, match=re.escape("modules[2].constructor_params.bias")):
            write(report)


def test_integers_are_numbers() -> None:
    """2 and 2.0 are one number in JSON; they become the same record and the same bytes."""
    data = unstructure(make_report())
    assert type(data["predicted_total_time_ms"]) is float
    read = structure(damaged(data, ("predicted_total_time_ms",), 2), AnalyticModelReport)
    assert to_json(read) == to_json(make_report(predicted_total_time_ms=2)) == to_json(make_report())


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '{"a": 1, "a": 1}', "[" * 100_000, '{"a": ' + "9" * 5000 + "}", "NaN"]
)
def test_text_that_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(RecordError):
        from_json(text, OCRWorkloadProfile)


def test_extra_keys_are_skipped_only_on_request() -> None:
    data = unstructure(make_profile()) | {"colour": "grey"}
    assert structure(data, OCRWorkloadProfile, extra_keys=True) == make_profile()
    with pytest.raises(RecordError, match=r"^colour: OCRWorkloadProfile has no such key; its keys are profile_id, "):
        structure(data, OCRWorkloadProfile)
