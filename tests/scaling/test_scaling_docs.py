"""The examples of the library of questions are true."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize("module", ["modelmeter.scaling", "modelmeter.scaling.crossover", "modelmeter.scaling.sources"])
def test_the_examples_say_what_is_so(module: str) -> None:
    done = doctest.testmod(import_module(module))
    assert done.attempted
    assert not done.failed
