"""What several test files share: compiled models, and the comparison of a layer with a counted forward."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

# Before sympy and torch are imported, here and in the processes that tests start. Many models are compiled in one
# process, which a cache of 1,000 terms is too small for; and there is a worker for each core already.
os.environ.setdefault("SYMPY_CACHE_SIZE", "50000")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from modelmeter.metrics.metric import MetricName
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture

if TYPE_CHECKING:
    from modelmeter.compiled_model import CompiledModel

# Compiled models stay alive while tests look at them: the collector need not walk through them at every turn.
gc.set_threshold(20_000, 10, 10)

# A busy machine may take any time over an example; how fast things are is not what the tests are about. The examples
# are the same on every run, so that a change is judged by what it changed; HYPOTHESIS_PROFILE=explore draws new ones.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


LONG: Final = ("models/deepseek_ocr/proofs/", "llm_perf_opt/test_verify_command", "scaling/test_stud", "frontend/")
"""Of files with few tests that take long. They begin first, so that no worker waits for the last of them."""

TOGETHER: Final = ("tests/scaling/test_stud", "tests/publishing/test_calculator")
"""Files of which all go to one worker, which makes what they share once: a book of studies, a site."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long files first, and leave the others in their order."""
    items.sort(key=lambda item: next((place for place, name in enumerate(LONG) if name in item.nodeid), len(LONG)))


class ByFixture(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types here
    """Files in the order in which they were collected, those that share what takes long to make as one."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return next((name for name in TOGETHER if file.startswith(name)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """Return what hands out tests to workers."""
    return ByFixture(config, log)


@pytest.fixture(scope="session")
def check_layer() -> Callable[..., None]:
    """The comparison of a layer with a forward; see :func:`layer_check.check_layer`."""
    import layer_check

    return layer_check.check_layer


@pytest.fixture(scope="session")
def check_training() -> Callable[..., None]:
    """The comparison of a layer with a training step; see :func:`layer_check.check_training`."""
    import layer_check

    return layer_check.check_training


@pytest.fixture(scope="session")
def expected_metrics() -> Callable[..., dict[MetricName, Fraction]]:
    """The six metrics of counted work, with every byte worked out there and not by the cost model."""
    import layer_check

    return layer_check.find_metrics


@pytest.fixture(scope="session")
def published() -> CompiledModel:
    """The published model, traced and compiled once a session."""
    from modelmeter.compiler import compile_model

    return compile_model(DeepSeekOCRArchitecture())


@pytest.fixture(scope="session")
def other_architecture() -> DeepSeekOCRArchitecture:
    """Another model of the family: no size is the published one, and no two sizes that could be confused agree."""
    return DeepSeekOCRArchitecture(
        hidden_size=84, intermediate_size=103, moe_intermediate_size=17, num_hidden_layers=5, first_k_dense_replace=2,
        num_attention_heads=6, num_key_value_heads=3, n_routed_experts=11, n_shared_experts=1, num_experts_per_tok=4,
        vocab_size=211, sam_image_size=16 * 19, sam_hidden_size=65, sam_num_hidden_layers=8,
        sam_global_attn_indexes=(0, 4, 7), sam_num_attention_heads=5, sam_intermediate_size=73, sam_window_size=9,
        sam_neck_channels=23, sam_downsample_channels=29, clip_image_size=75, clip_patch_size=15,
        clip_hidden_size=77, clip_num_hidden_layers=13, clip_num_attention_heads=7, clip_intermediate_size=59,
    )  # fmt: skip


@pytest.fixture(scope="session")
def other(other_architecture: DeepSeekOCRArchitecture) -> CompiledModel:
    """The other model, traced and compiled once a session."""
    from modelmeter.compiler import compile_model

    return compile_model(other_architecture)


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Let no file grow past 1,000 bytes while the test runs: what a disk without room does, from inside a process."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
