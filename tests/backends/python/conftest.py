"""The evaluator package of a small model, as every file of tests has it anew."""

from __future__ import annotations

from types import ModuleType

import pytest
from small_package import load_small_package


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    return load_small_package(tmp_path_factory.mktemp("package"))
