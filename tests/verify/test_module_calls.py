"""Which module runs, as those know it who watch operators."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from modelmeter.support.errors import CountError
from modelmeter.verify.module_calls import ModuleFollower


class Inner(nn.Module):
    """Notes where it is before and after it calls its child."""

    def __init__(self, follower: list[ModuleFollower]) -> None:
        super().__init__()
        self.follower = follower
        self.narrow = nn.Linear(5, 5)
        self.seen: list[str] = []

    def forward(self, rows: Tensor) -> Tensor:
        self.seen.append(self.follower[0].path)
        rows = self.narrow(rows)
        self.seen.append(self.follower[0].path)
        return rows


class Failing(nn.Module):
    def forward(self, rows: Tensor) -> Tensor:
        raise ValueError("of all things")


def make_model() -> tuple[nn.ModuleDict, ModuleFollower]:
    own: list[ModuleFollower] = []
    shared = Inner(own)
    model = nn.ModuleDict({"outer": nn.Sequential(shared, Inner(own)), "failing": nn.Sequential(Failing())})
    own.append(ModuleFollower(model))
    return model, own[0]


def test_the_path_is_that_of_the_innermost_module_that_runs() -> None:
    model, follower = make_model()
    with follower.watch_modules():
        assert follower.path == ""
        model["outer"](torch.zeros(7, 5))
        assert follower.path == ""
    assert [inner.seen for inner in model["outer"]] == [["outer.0", "outer.0"], ["outer.1", "outer.1"]]
    model["outer"](torch.zeros(7, 5))
    assert follower.path == "", "nothing is watched any more"


def test_a_module_that_fails_is_left_too() -> None:
    model, follower = make_model()
    with follower.watch_modules():
        with pytest.raises(ValueError, match="of all things"):
            model["failing"](torch.zeros(7, 5))
        model["outer"](torch.zeros(7, 5))
        assert follower.path == ""
    assert model["outer"][0].seen == ["outer.0", "outer.0"]


def test_a_module_of_another_model_is_refused() -> None:
    _, follower = make_model()
    with (
        pytest.raises(CountError, match="Linear: a module runs that is not part of the model"),
        follower.watch_modules(),
    ):
        nn.Linear(5, 3)(torch.zeros(7, 5))
    nn.Linear(5, 3)(torch.zeros(7, 5))


def test_two_followers_do_not_get_in_each_others_way() -> None:
    model, outer = make_model()
    other = ModuleFollower(model)
    with outer.watch_modules():
        with other.watch_modules():
            model["outer"](torch.zeros(7, 5))
        model["outer"](torch.zeros(7, 5))
    assert model["outer"][0].seen == ["outer.0"] * 4
