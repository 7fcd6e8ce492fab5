"""YAML means here what JSON can say, and nothing is guessed."""

from __future__ import annotations

import math

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import AWKWARD_NAMES, texts

from llm_perf_opt.data.yaml_text import dump_yaml, load_yaml
from llm_perf_opt.errors import RecordError

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts, st.sampled_from(AWKWARD_NAMES)
)
plain_data = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)


@settings(max_examples=100, deadline=None)
@given(plain_data)
def test_plain_data_survives(data: object) -> None:
    assert load_yaml(dump_yaml(data)) == data


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_text_stays_text_for_every_reader(name: str) -> None:
    """Also for a YAML 1.1 reader such as PyYAML's own."""
    assert load_yaml(dump_yaml([name])) == yaml.safe_load(dump_yaml([name])) == [name]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3), ("-3", -3), ("0", 0), ("989e12", 989e12), ("3.35e+12", 3.35e12), ("1.", 1.0), ("-0.5", -0.5),
        (".inf", math.inf), ("true", True), ("null", None), ("~", None), ("", None),
        # What YAML 1.1 reads as 8, 1000, 90, false, a date and 255.
        ("010", "010"), ("1_000", "1_000"), ("1:30", "1:30"), ("no", "no"), ("2024-02-29", "2024-02-29"),
        ("0xff", "0xff"),
    ],
)  # fmt: skip
def test_plain_scalars_are_decimal(text: str, value: object) -> None:
    loaded = load_yaml(text)
    assert loaded == value
    assert type(loaded) is type(value)


def test_nan_is_read_so_that_its_field_can_refuse_it() -> None:
    assert math.isnan(load_yaml(".nan"))


@pytest.mark.parametrize(
    "text",
    [
        "a: [1", "a: 1\na: 2", "a: {b: 1, b: 1}", "[1]: 2", "\x00", "!!python/object:os.system x", "!!timestamp x",
        "!!set {a}", "!own x", "!!int ''", "!!int x", "!!bool x", "9" * 5000, "[" * 5000, "*nothing", "a: 1\n---\nb: 2",
    ],
)  # fmt: skip
def test_what_is_no_plain_data_is_refused(text: str) -> None:
    with pytest.raises(RecordError, match="not readable as YAML"):
        load_yaml(text)


def test_merge_keys_are_refused() -> None:
    """YAML 1.2 has none. Here each of 40 levels would merge the next one thrice, and 3 ** 40 keys fit nowhere."""
    levels = range(40)
    text = (
        "".join(f"{{!!merge <<: [&x{n} " for n in levels)
        + "{b: 1}"
        + "".join(f", *x{n}, *x{n}]}}" for n in levels[::-1])
    )
    for merging in (text, "{!!merge <<: {a: 1}, b: 2}"):
        with pytest.raises(RecordError, match=r"tag:yaml\.org,2002:merge"):
            load_yaml(merging)
    assert load_yaml("<<: {a: 1}") == {"<<": {"a": 1}}, "without the tag it is text"


def test_a_refusal_names_the_line() -> None:
    with pytest.raises(RecordError, match=r"^line 4, column 3: .* a key is given twice$"):
        load_yaml("a: 1\nb:\n  c: 1\n  c: 2\n")


def test_the_same_object_twice_is_written_twice() -> None:
    shared = ["a"]
    assert dump_yaml({"x": shared, "y": shared}) == "x:\n- a\ny:\n- a\n"
