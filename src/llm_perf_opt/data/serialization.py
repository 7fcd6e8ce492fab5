"""Records to plain data, JSON and YAML, and back, without converting or guessing anything.

Every rule of a record is checked by the record itself; here cattrs only finds its way through the nesting, and
refuses missing and unknown keys.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from types import GenericAlias
from typing import Any, Literal, TypeVar, get_args, get_origin

import attrs
from cattrs import ClassValidationError, Converter, ForbiddenExtraKeysError, IterableValidationError
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn

from llm_perf_opt.data.rationals import Rational
from llm_perf_opt.data.wrong_keys import wrong_keys
from llm_perf_opt.data.yaml_text import dump_yaml, load_yaml
from llm_perf_opt.errors import RecordError
from modelmeter.support.files import LARGEST_TEXT_BYTES, read_text
from modelmeter.support.strict_json import parse_object

T = TypeVar("T")
VERSION_KEY = "schema_version"


def unstructure(record: object) -> dict[str, Any]:
    """Return a record as plain data: what JSON can hold.

    Raises
    ------
    RecordError
        If the data would not be read back; a record can only be so if a mapping in it was changed.
    """
    data: dict[str, Any] = _STRICT.unstructure(record)
    structure(data, type(record))
    return data


def structure(data: object, record_type: type[T], *, extra_keys: bool = False) -> T:
    """Return the record that plain data holds.

    Parameters
    ----------
    data
        Dicts, lists, text, numbers, booleans and None.
    record_type
        An attrs class whose fields have rules.
    extra_keys
        Whether keys that the class does not know are skipped, for files of other programs; else they are refused.

    Raises
    ------
    RecordError
        At the path of the first field that is missing, unknown or breaks its rule.
    """
    try:
        return (_TOLERANT if extra_keys else _STRICT).structure(data, record_type)
    except (ClassValidationError, IterableValidationError, RecordError) as error:
        raise _located(error, "") from None  # the group of all errors is many pages long


def to_json(record: object) -> str:
    """Return a record as JSON text, keys in the order of the fields.

    Raises
    ------
    RecordError
        As :func:`unstructure`.
    """
    return json.dumps(unstructure(record), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str, record_type: type[T], *, extra_keys: bool = False) -> T:
    """Return the record that JSON text holds.

    Raises
    ------
    RecordError
        If the text is not a JSON object, gives a key twice, or as :func:`structure`.
    """
    try:
        data = parse_object(text)
    except ValueError as error:
        raise RecordError(f"not readable as JSON: {error}") from error
    return structure(data, record_type, extra_keys=extra_keys)


def to_yaml(record: object) -> str:
    """Return a record as YAML text, keys in the order of the fields.

    Raises
    ------
    RecordError
        As :func:`unstructure`.
    """
    return dump_yaml(unstructure(record))


def from_yaml(text: str, record_type: type[T], *, extra_keys: bool = False) -> T:
    """Return the record that YAML text holds.

    Raises
    ------
    RecordError
        If the text is not YAML, gives a key twice, or as :func:`structure`.
    """
    return structure(load_yaml(text), record_type, extra_keys=extra_keys)


def read_record(
    path: str | os.PathLike[str],
    record_type: type[T],
    *,
    extra_keys: bool = False,
    limit_bytes: int = LARGEST_TEXT_BYTES,
) -> T:
    """Return the record in a file: JSON if its name ends in ``.json``, else YAML.

    Raises
    ------
    RecordError
        If the file cannot be read or is longer than the limit, or as :func:`from_json`; the place begins with the file.
    """
    parse = from_json if Path(path).suffix == ".json" else from_yaml
    try:
        return parse(read_text(path, limit_bytes=limit_bytes), record_type, extra_keys=extra_keys)
    except OSError as error:
        raise RecordError(f"the file cannot be read: {error.strerror}", place=str(path)) from error
    except UnicodeDecodeError as error:
        raise RecordError(
            "the file cannot be read", place=str(path), expected="text in UTF-8", found="other bytes"
        ) from error
    except ValueError as error:  # a NUL in the path
        raise RecordError(f"the file cannot be read: {error}", place=str(path)) from error
    except RecordError as error:
        raise moved(error, f"{path}: ") from error


def moved(error: RecordError, prefix: str) -> RecordError:
    """Return the error with ``prefix`` before its place."""
    return RecordError(
        error.problem,
        place=(prefix + error.place).removesuffix(": "),
        expected=error.expected,
        found=error.found,
        remedy=error.remedy,
    )


def _located(error: Exception, path: str) -> RecordError:
    """Return the first problem in a tree of cattrs errors, as a :class:`RecordError` at its full path."""
    if isinstance(error, ClassValidationError):
        at_field, of_record = error.group_exceptions()
        missing = [note.name for problem, note in at_field if isinstance(problem, KeyError)]
        if isinstance(of_record[0] if of_record else None, ForbiddenExtraKeysError) or missing:
            unknown = {str(key) for each in of_record for key in getattr(each, "extra_fields", ())}
            return wrong_keys(error.cl, sorted(unknown), missing, path)
        if of_record:
            return _located(of_record[0], path)
        return _located(at_field[0][0], f"{path}.{at_field[0][1].name}")
    if isinstance(error, IterableValidationError):
        inner, note = error.group_exceptions()[0][0]
        return _located(inner, f"{path}[{note.index}]")
    if isinstance(error, RecordError):
        prefix = f"{path}." if path and error.place else path
        return moved(error, prefix.lstrip("."))
    raise error


def _as_it_is(value: Any, _: Any) -> Any:
    """Hand a value on: the rule of its field judges it."""
    return value


def _record_hook(record_type: type, converter: Converter) -> Callable[[Any, Any], Any]:
    hook: Callable[[Any, Any], Any] = make_dict_structure_fn(record_type, converter)
    version: int | None = getattr(record_type, "SCHEMA_VERSION", None)

    def structure_record(data: Any, _: Any) -> Any:
        if not isinstance(data, dict):
            raise RecordError("not a record", expected=f"the keys of {record_type.__name__}", found=type(data).__name__)
        if version is not None:
            data = dict(data)
            found = data.pop(VERSION_KEY, None)
            if type(found) is not int or found != version:
                raise RecordError(
                    "not the version of the schema that this program reads",
                    place=VERSION_KEY,
                    expected=version,
                    found="none" if found is None else repr(found),
                )
        return hook(data, record_type)

    return structure_record


def _plain_hook(record_type: type, converter: Converter) -> Callable[[Any], dict[str, Any]]:
    hook: Callable[[Any], dict[str, Any]] = make_dict_unstructure_fn(record_type, converter)
    version: int | None = getattr(record_type, "SCHEMA_VERSION", None)
    return hook if version is None else lambda record: {VERSION_KEY: version, **hook(record)}


def _tuple_hook(tuple_type: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    list_type = GenericAlias(list, get_args(tuple_type)[:1])
    hook = converter.get_structure_hook(list_type)

    def structure_tuple(data: Any, _: Any) -> Any:
        if type(data) is not list:
            raise RecordError("not a list", expected="a list", found=type(data).__name__)
        return tuple(hook(data, list_type))

    return structure_tuple


def _is_made_of(hint: Any, *origins: Any) -> bool:
    return get_origin(hint) in origins


def _converter(*, extra_keys: bool) -> Converter:
    converter = Converter(forbid_extra_keys=not extra_keys, unstruct_collection_overrides={tuple: list})
    for scalar in (str, int, float, bool):
        converter.register_structure_hook(scalar, _as_it_is)
    converter.register_structure_hook_func(lambda hint: _is_made_of(hint, Literal, Mapping), _as_it_is)
    converter.register_structure_hook_func(lambda hint: hint == Rational, _as_it_is)
    converter.register_unstructure_hook(Fraction, str)  # "11/2"
    converter.register_structure_hook_factory(lambda hint: _is_made_of(hint, tuple), _tuple_hook)
    converter.register_structure_hook_factory(attrs.has, _record_hook)
    converter.register_unstructure_hook_factory(attrs.has, _plain_hook)
    return converter


_STRICT = _converter(extra_keys=False)
_TOLERANT = _converter(extra_keys=True)
