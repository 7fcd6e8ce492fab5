"""JSON into records: values are taken as they are, or refused with their place."""

import pytest
from attrs import frozen
from cattrs import ClassValidationError

from modelmeter.support.strict_json import first_problem, make_converter, parse_object


@frozen
class Point:
    name: str
    sizes: tuple[int, ...]


@frozen
class Line:
    points: tuple[Point, ...]
    is_closed: bool


def test_a_record_comes_back() -> None:
    line = Line(points=(Point(name="a", sizes=(3, 5)), Point(name="b", sizes=())), is_closed=False)
    converter = make_converter()
    assert converter.structure(converter.unstructure(line), Line) == line


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"points": [{"name": "a", "sizes": ["3"]}], "is_closed": True}, "points[0].sizes[0]"),
        ({"points": [{"name": "a", "sizes": [3.0]}], "is_closed": True}, "points[0].sizes[0]"),
        ({"points": [{"name": "a", "sizes": [True]}], "is_closed": True}, "points[0].sizes[0]"),
        ({"points": [{"name": "a", "sizes": ""}], "is_closed": True}, "points[0].sizes"),
        ({"points": [{"name": "a", "sizes": {}}], "is_closed": True}, "points[0].sizes"),
        ({"points": [{"name": 7, "sizes": []}], "is_closed": True}, "points[0].name"),
        ({"points": [{"sizes": []}], "is_closed": True}, "points[0].name"),
        ({"points": [{"name": "a", "sizes": [], "more": 1}], "is_closed": True}, "points[0]"),
        ({"points": [], "is_closed": 1}, "is_closed"),
        ({"points": []}, "is_closed"),
    ],
)
def test_another_kind_of_value_is_refused_with_its_place(document: dict[str, object], place: str) -> None:
    with pytest.raises(ClassValidationError) as caught:
        make_converter().structure(document, Line)
    assert first_problem(caught.value)[0] == place


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Expecting value"),
        ("{", "Expecting property name"),
        ("[]", "a list instead of an object"),
        ("3", "a int instead of an object"),
        ('{"a": 1, "a": 1}', "the same key twice"),
        ('{"a": [{"b": 1, "b": 2}]}', "the same key twice"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "4300 digits"),
    ],
)
def test_what_is_not_one_object_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_object(text)
