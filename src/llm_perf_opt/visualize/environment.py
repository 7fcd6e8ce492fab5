"""The environment of the templates beside this module."""

from __future__ import annotations

from collections.abc import Callable

from jinja2 import Environment

from modelmeter.support.markdown import escape_markdown
from modelmeter.support.templates import open_templates


def make_environment(**filters: Callable[..., str]) -> Environment:
    """Return the environment with filters by name; a name that a template is not given is an error."""
    return open_templates("llm_perf_opt.visualize", text=_escape_text, **filters)


def _escape_text(text: str) -> str:
    """Return a text as one line of Markdown that shows it as it is."""
    return escape_markdown(" ".join(text.split()))
