"""YAML text to plain data and back, with the types that JSON has and no others.

PyYAML follows YAML 1.1, in which ``010`` is eight, ``1:30`` is ninety, ``no`` is false, a date is no text, and
``3e12`` is no number. Here a plain scalar is null, a boolean or a number exactly if YAML 1.2's core schema
says so in decimal, and text otherwise.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from llm_perf_opt.errors import RecordError

_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?$|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$")
_SCALARS = (
    ("null", re.compile(r"(~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"(true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    ("int", re.compile(r"[-+]?(0|[1-9][0-9]*)$"), list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
)
_PREFIX = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """A loader that knows the types of JSON, and refuses a key that is given twice."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - filled below, through PyYAML's own method
    yaml_constructors = {  # noqa: RUF012 - PyYAML's table, less the types that JSON lacks
        tag: constructor
        for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.removeprefix(_PREFIX) in ("null", "bool", "int", "float", "str", "seq", "map")
    }

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge nothing: YAML 1.2 has no merge keys, and a few lines of them can stand for billions of keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping = super().construct_mapping(node, deep)
        if len(mapping) < len(node.value):
            keys = [key.value for key, _ in node.value]
            repeated = next((key for key, _ in reversed(node.value) if keys.count(key.value) > 1), node)
            raise yaml.constructor.ConstructorError(None, None, "a key is given twice", repeated.start_mark)
        return mapping


class _Dumper(yaml.SafeDumper):
    """A dumper that quotes whatever YAML 1.1 or our loader would not read as text, and never writes references."""

    def ignore_aliases(self, data: object) -> bool:
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        # PyYAML loses these line breaks in any style that does not escape them.
        style = '"' if re.search("[\x85\u2028\u2029]", data) else None
        return self.represent_scalar(_PREFIX + "str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)
for _name, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(_PREFIX + _name, _pattern, _first)
_Dumper.add_implicit_resolver(_PREFIX + "float", _FLOAT, list("-+.0123456789"))


def dump_yaml(data: object) -> str:
    """Return plain data as YAML text, keys in their order."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def load_yaml(text: str) -> Any:
    """Return the plain data of YAML text: dicts, lists, text, numbers, booleans and None.

    Raises
    ------
    RecordError
        If the text is not YAML, gives a key twice, or uses a type that JSON lacks.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise RecordError(f"not readable as YAML: {error.problem}", place=place) from error
    except (yaml.YAMLError, ValueError, LookupError, RecursionError) as error:
        # A character that YAML forbids, a number with too many digits, a tag that its scalar contradicts, nesting.
        raise RecordError(f"not readable as YAML: {error}") from error
