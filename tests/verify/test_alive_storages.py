"""Naming what is alive at a peak."""

from __future__ import annotations

import pytest

from modelmeter.dimensions.evaluate import evaluate
from modelmeter.dimensions.functions import Size
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.support.errors import CountError
from modelmeter.verify.foreign_bytes.alive import Alive, Snapshot, name_storages
from modelmeter.verify.foreign_bytes.records import LiveStorage, Peak

K = symbol("num_keys")
SNAPSHOT = Snapshot(
    at=("mm", r"layers\.\d+\.proj"),
    alive=(
        Alive(role="states", made_by=("add", r"layers\.\d+"), nbytes=3 * K),
        Alive(role="large copies", made_by=("clone", "attn"), nbytes=10 * K, each=5 * K),
        Alive(role="small copy", made_by=("clone", "attn"), nbytes=2 * K, each=2 * K),
        Alive(role="nothing here", made_by=("given", ""), nbytes=0),
    ),
)


def values(formula: Size) -> int:
    return int(evaluate(formula, {"num_keys": 7}))


def live(path: str, name: str, nbytes: int) -> LiveStorage:
    return LiveStorage(path=path, name=name, nbytes=nbytes, born=0)


STORAGES = (
    live("model.layers.2", "add", 21), live("attn", "clone", 35), live("x.attn", "clone", 35), live("attn", "clone", 14)
)  # fmt: skip


def peak(*storages: LiveStorage, path: str = "model.layers.11.proj", name: str = "mm") -> Peak:
    return Peak(path=path, name=name, storages=storages)


def test_every_storage_has_its_role() -> None:
    found = name_storages(peak(*STORAGES), [SNAPSHOT], values)
    assert found == {"states": 21, "large copies": 70, "small copy": 14, "nothing here": 0}


def test_a_peak_elsewhere_names_the_operator() -> None:
    with pytest.raises(CountError, match=r"model.layers.11.projector: mm: the peak is at an operator without"):
        name_storages(peak(*STORAGES, path="model.layers.11.projector"), [SNAPSHOT], values)
    with pytest.raises(CountError, match=r"model.layers.11.proj: addmm: the peak is at an operator without"):
        name_storages(peak(*STORAGES, name="addmm"), [SNAPSHOT], values)


def test_a_storage_without_a_role_is_named() -> None:
    with pytest.raises(CountError, match=r"has not one role; found 99 bytes of model.layers.2: mul"):
        name_storages(peak(*STORAGES, live("model.layers.2", "mul", 99)), [SNAPSHOT], values)


def test_other_bytes_than_the_formula_says_are_an_error() -> None:
    with pytest.raises(CountError, match="other bytes than the formula says: large copies; expected 70; found 35"):
        name_storages(peak(*STORAGES[:2], STORAGES[3]), [SNAPSHOT], values)
