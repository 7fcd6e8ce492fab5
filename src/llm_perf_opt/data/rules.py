"""What a field of a record may hold: one rule validates it, words the refusal, and gives its JSON Schema."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import Attribute, evolve, frozen

from llm_perf_opt.errors import RecordError

LARGEST_WHOLE_NUMBER = 2**63 - 1
"""Whole numbers are 64-bit integers, which every reader of JSON and YAML can be told to hold."""

ArgumentScalar = str | int | float | bool | None
ArgumentValue = ArgumentScalar | tuple[ArgumentScalar, ...]


def _no_parts(value: Any, place: str) -> None:
    """Check nothing: the value has no parts."""


@frozen(kw_only=True, eq=False)
class FieldRule:
    """A validator for :func:`attrs.field` that refuses with a :class:`RecordError` and never converts.

    Parameters
    ----------
    expected
        What the field holds, for messages.
    accepts
        Whether the field may hold a value, its parts aside.
    schema
        The JSON Schema of the field; records are references into ``$defs``.
    records
        The record classes that the schema refers to.
    check_parts
        Checks the parts of an accepted value; each has its own place.
    """

    expected: str
    accepts: Callable[[object], bool]
    schema: Mapping[str, Any]
    records: tuple[type, ...] = ()
    check_parts: Callable[[Any, str], None] = _no_parts

    def check(self, value: object, place: str) -> None:
        """Raise a :class:`RecordError` at ``place``, or at a part of it, unless the field may hold ``value``."""
        if not self.accepts(value):
            raise RecordError("wrong value", place=place, expected=self.expected, found=_describe(value))
        self.check_parts(value, place)

    def __call__(self, record: object, attribute: Attribute[Any], value: object) -> None:
        """Check the value of a field that attrs is about to set."""
        self.check(value, attribute.name)


TEXT = FieldRule(
    expected="text that UTF-8 can hold",
    accepts=lambda value: isinstance(value, str) and not re.search("[\ud800-\udfff]", value),
    schema={"type": "string"},
)

IDENTIFIER = FieldRule(
    expected="one line of text without blanks around it",
    accepts=lambda value: isinstance(value, str) and value == value.strip() != "" and value.isprintable(),
    schema={"type": "string", "minLength": 1},
)

_ABSOLUTE = r"^(/|[A-Za-z]:[/\\]|\\\\)"
ABSOLUTE_PATH = FieldRule(  # of any system, so that a report written on one can be read on another
    expected="an absolute path",
    accepts=lambda value: isinstance(value, str) and value.isprintable() and bool(re.match(_ABSOLUTE, value)),
    schema={"type": "string", "pattern": _ABSOLUTE},
)

FLAG = FieldRule(expected="true or false", accepts=lambda value: type(value) is bool, schema={"type": "boolean"})


def whole_number(minimum: int = 0) -> FieldRule:
    """Return the rule of an integer from ``minimum`` to 2^63 - 1."""
    return FieldRule(
        expected=f"a whole number of at least {minimum}, below 2^63",
        accepts=lambda value: type(value) is int and minimum <= value <= LARGEST_WHOLE_NUMBER,
        schema={"type": "integer", "minimum": minimum, "maximum": LARGEST_WHOLE_NUMBER},
    )


def number(unit: str) -> FieldRule:
    """Return the rule of a finite float that is not negative; the schema states the unit."""
    return FieldRule(
        expected="a finite number of at least 0",
        accepts=lambda value: type(value) is float and 0 <= value < math.inf,  # a NaN fails every comparison
        schema={"type": "number", "minimum": 0, "description": unit},
    )


MILLISECONDS = number("milliseconds")
TFLOPS = number("10^12 FLOPs")
TERABITS = number("terabits: 10^12 bits")
GIBIBYTES = number("2^30 bytes")
RATIO = number("predicted time / measured time")
MEASURED_MILLISECONDS = FieldRule(
    expected="a finite number above 0",
    accepts=lambda value: type(value) is float and 0 < value < math.inf,
    schema={"type": "number", "exclusiveMinimum": 0, "description": "milliseconds"},
)
SHARE = FieldRule(
    expected="a number from 0 to 1",
    accepts=lambda value: type(value) is float and 0 <= value <= 1,
    schema={"type": "number", "minimum": 0, "maximum": 1, "description": "part of 1"},
)


def choice(*words: str) -> FieldRule:
    """Return the rule of a few words."""
    return FieldRule(
        expected="one of " + ", ".join(words),
        accepts=lambda value: isinstance(value, str) and value in words,
        schema={"enum": list(words)},
    )


def record(record_type: type) -> FieldRule:
    """Return the rule of a record of one class, which has checked itself."""
    return FieldRule(
        expected=f"a record {record_type.__name__}",
        accepts=lambda value: isinstance(value, record_type),
        schema={"$ref": f"#/$defs/{record_type.__name__}"},
        records=(record_type,),
    )


def or_none(rule: FieldRule) -> FieldRule:
    """Return a rule that also accepts None; for a rule without parts."""
    return evolve(
        rule,
        expected=f"{rule.expected}, or null",
        accepts=lambda value: value is None or rule.accepts(value),
        schema={"anyOf": [rule.schema, {"type": "null"}]},
    )


def sequence(item_rule: FieldRule, *, distinct: bool = False, key: str = "") -> FieldRule:
    """Return the rule of a tuple of what another rule accepts, in a meaningful order.

    Parameters
    ----------
    item_rule
        The rule of every item.
    distinct
        Whether two equal items are refused.
    key
        The field of the items by which they must differ, where items are records with an id.
    """

    def check_items(items: tuple[Any, ...], place: str) -> None:
        first: dict[object, int] = {}
        for index, item in enumerate(items):
            here = f"{place}[{index}]"
            item_rule.check(item, here)
            if distinct or key:
                identity = getattr(item, key) if key else item
                if first.setdefault(identity, index) != index:
                    raise RecordError(
                        f"the same as in {place}[{first[identity]}]",
                        place=f"{here}.{key}" if key else here,
                        found=_describe(identity),
                    )

    return FieldRule(
        expected="a list",
        accepts=lambda value: type(value) is tuple,
        schema={"type": "array", "items": item_rule.schema} | ({"uniqueItems": True} if distinct else {}),
        records=item_rule.records,
        check_parts=check_items,
    )


def mapping_of(key_rule: FieldRule, value_rule: FieldRule) -> FieldRule:
    """Return the rule of a mapping whose keys and values obey rules of their own."""

    def check_items(items: Mapping[Any, Any], place: str) -> None:
        for key, value in items.items():
            key_rule.check(key, f"{place} (a name)")
            value_rule.check(value, f"{place}.{key}")

    return FieldRule(
        expected="at least one value by name",
        accepts=lambda value: isinstance(value, Mapping) and len(value) > 0,
        schema={
            "type": "object",
            "propertyNames": key_rule.schema,
            "additionalProperties": value_rule.schema,
            "minProperties": 1,
        },
        check_parts=check_items,
    )


def _is_argument(value: object) -> bool:
    if type(value) is int:
        return abs(value) <= LARGEST_WHOLE_NUMBER
    if type(value) is float:
        return math.isfinite(value)
    return value is None or type(value) is bool or TEXT.accepts(value)


_ARGUMENT = FieldRule(  # numbers may be negative, because an argument such as dim=-1 may
    expected="text, a finite number, true, false, null, or a flat list of these",
    accepts=_is_argument,
    schema={"type": ["string", "number", "boolean", "null"]},
)
_ARGUMENT_LIST = sequence(_ARGUMENT)


def _check_arguments(arguments: Mapping[Any, Any], place: str) -> None:
    for name, value in arguments.items():
        IDENTIFIER.check(name, f"{place} (a name)")
        (_ARGUMENT_LIST if type(value) is tuple else _ARGUMENT).check(value, f"{place}.{name}")


ARGUMENTS = FieldRule(
    expected="arguments by name",
    accepts=lambda value: isinstance(value, Mapping),
    schema={"type": "object", "additionalProperties": {"anyOf": [_ARGUMENT.schema, _ARGUMENT_LIST.schema]}},
    check_parts=_check_arguments,
)


def as_tuple(items: Iterable[Any]) -> tuple[Any, ...]:
    """Return a list as a tuple; the rule of the field refuses what is neither."""
    return tuple(items) if isinstance(items, list) else items  # type: ignore[return-value] # refused after this


def as_arguments(arguments: Mapping[str, Any]) -> Mapping[str, ArgumentValue]:
    """Return a copy with lists as tuples; the rule of the field refuses what is no mapping."""
    if not isinstance(arguments, Mapping):
        return arguments
    return {name: tuple(value) if isinstance(value, list) else value for name, value in arguments.items()}


def as_float(value: float) -> float:
    """Return an integer as the float that equals it, if one does; anything else stays as it is.

    So a total of 0 is the same record, and the same bytes on disk, as a total of 0.0.
    """
    return float(value) if type(value) is int and abs(value) <= 2**53 else value


def _describe(value: object) -> str:
    """Return the type and the value, short: "3" and 3 look alike otherwise."""
    if value is None:
        return "null"
    if isinstance(value, int) and value.bit_length() > 64:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, str | int | float):
        return f"{type(value).__name__} {value!r}"
    return type(value).__name__
