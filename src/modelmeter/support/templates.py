"""Templates of jinja2, opened alike wherever text is made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def open_templates(package: str, **filters: Callable[..., Any]) -> Environment:
    """Return the templates in the folder ``templates`` of a package, with filters by name.

    A name that a template is not given is an error. Nothing is escaped but by filters; HTML wants ``autoescape``.
    """
    environment = Environment(
        loader=PackageLoader(package, "templates"), undefined=StrictUndefined, autoescape=False,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters.update(filters)
    return environment
