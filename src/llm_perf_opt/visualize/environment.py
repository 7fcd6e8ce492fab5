"""The environment of the templates beside this module."""

from __future__ import annotations

from collections.abc import Callable

from jinja2 import Environment, PackageLoader, StrictUndefined

from modelmeter.support.markdown import escape_markdown


def make_environment(**filters: Callable[..., str]) -> Environment:
    """Return the environment with filters by name; a name that a template is not given is an error."""
    environment = Environment(
        loader=PackageLoader("llm_perf_opt.visualize"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown, not HTML
    )
    environment.filters.update(text=_escape_text, **filters)
    return environment


def _escape_text(text: str) -> str:
    """Return a text as one line of Markdown that shows it as it is."""
    return escape_markdown(" ".join(text.split()))
