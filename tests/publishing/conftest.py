"""The formula pages of two models, for all tests of the pages."""

from __future__ import annotations

import pytest
from page_reader import build, render

from modelmeter.compiled_model import CompiledModel
from modelmeter.publishing.page_spec import Pages


@pytest.fixture(scope="session", params=["published", "other"])
def compiled(request: pytest.FixtureRequest) -> CompiledModel:
    """Each of the two models."""
    model: CompiledModel = request.getfixturevalue(request.param)
    return model


@pytest.fixture(scope="session")
def pages(compiled: CompiledModel) -> Pages:
    """What its pages say."""
    return build(compiled)


@pytest.fixture(scope="session")
def texts(compiled: CompiledModel) -> dict[str, str]:
    """Its pages as text."""
    return render(compiled)
