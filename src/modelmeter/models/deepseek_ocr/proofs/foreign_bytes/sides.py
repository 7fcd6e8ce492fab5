"""Both implementations of each stage, ready to be recorded: ours, and that of transformers, on the meta device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, Literal

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from modelmeter.graph.dtypes import default_dtype
from modelmeter.models.deepseek_ocr.architecture import IMAGE_CHANNELS, DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.proofs.oracle import build_oracle
from modelmeter.models.deepseek_ocr.reference import build_reference
from modelmeter.models.deepseek_ocr.reference_cache import KeyValueCache
from modelmeter.verify.dispatch import tensors_in
from modelmeter.verify.foreign_bytes.recording import record_forward
from modelmeter.verify.foreign_bytes.records import Recording, Sides

DTYPE = torch.bfloat16

Experts = Literal["eager", "grouped_mm"]
"""Of transformers: a loop over experts, and one product for all of them, which is its default."""

Sizes = dict[str, int]


@frozen
class Models:
    """Both models of an architecture, on the meta device.

    Parameters
    ----------
    architecture
        Its sizes.
    experts
        How transformers runs its experts.
    """

    architecture: DeepSeekOCRArchitecture
    experts: Experts
    ours: Any
    theirs: Any

    @classmethod
    def build(cls, architecture: DeepSeekOCRArchitecture, experts: Experts) -> Models:
        """Build both.

        Raises
        ------
        CountError
            If the transformers package is missing, or has no such model.
        """
        ours = build_reference(architecture, expert_routing="even", device="meta", dtype=DTYPE)
        with torch.device("meta"), default_dtype(DTYPE):
            theirs: Any = build_oracle(architecture, {})
        theirs.config.text_config._experts_implementation = experts
        return cls(architecture, experts, ours, theirs)

    def record_views(self, *, batch_size: int, num_views: int, view_size: int) -> Sides:
        """Record the towers and the projector on ``num_views`` views of each of ``batch_size`` pages."""
        model, their_model = self.ours.model, self.theirs.model

        def make_views(pages: int) -> Tensor:
            """Make pixels when their turn comes, as the vendor's code brings them to the device."""
            return torch.empty(pages * num_views, IMAGE_CHANNELS, view_size, view_size)

        def run_ours() -> object:
            return [model.encode_views(make_views(1)) for _ in range(batch_size)]

        def run_theirs() -> object:
            return their_model.multi_modal_projector(their_model.vision_tower(make_views(batch_size)).last_hidden_state)

        return Sides(
            sizes={
                "batch_size": batch_size, "num_views": num_views, "view_size": view_size,
                "grid_size": view_size // self.architecture.sam_patch_size,
            },
            ours=_record(model, run_ours),
            theirs=_record(their_model, run_theirs),
        )  # fmt: skip

    def record_prefill(self, *, batch_size: int, seq_len: int, logits_tokens: int) -> Sides:
        """Record a prompt without images."""
        return self._record_decoder(batch_size, 0, seq_len, logits_tokens)

    def record_decode(self, *, batch_size: int, num_keys: int) -> Sides:
        """Record the step of one token of each sequence that sees ``num_keys`` keys, its own among them."""
        return self._record_decoder(batch_size, num_keys - 1, 1, 1)

    def _record_decoder(self, batch_size: int, cached: int, positions: int, logits_tokens: int) -> Sides:
        from transformers import DynamicCache

        architecture = self.architecture
        token_ids = torch.empty(batch_size, positions, dtype=torch.int64, device="meta")
        cache = KeyValueCache(
            architecture, batch_size=batch_size, capacity=cached + positions, device="meta", dtype=DTYPE
        )
        if cached:
            cache.hold(cached)
        their_cache: Any = DynamicCache()
        if cached:
            head_dim = architecture.hidden_size // architecture.num_attention_heads
            shape = (batch_size, architecture.num_key_value_heads, cached, head_dim)
            for index in range(architecture.num_hidden_layers):
                keys, values = (torch.empty(shape, dtype=DTYPE, device="meta") for _ in range(2))
                their_cache.update(keys, values, index)
                del keys, values

        def run_ours() -> object:
            return self.ours(token_ids, cache, logits_tokens=logits_tokens)

        def run_theirs() -> object:
            return self.theirs(input_ids=token_ids, past_key_values=their_cache, logits_to_keep=logits_tokens)

        shares = _EvenShares(self.theirs, batch_size * positions)

        def list_cache() -> Iterable[Tensor]:
            return (*shares.tensors, *tensors_in([(layer.keys, layer.values) for layer in their_cache.layers]))

        with shares.hand_out() if self.experts == "eager" else nullcontext():
            recorded = _record(self.theirs, run_theirs, list_cache)
        return Sides(
            sizes={
                "batch_size": batch_size, "num_queries": positions, "num_keys": cached + positions,
                "logits_tokens": logits_tokens,
            },
            ours=_record(self.ours, run_ours, cache.tensors),
            theirs=recorded,
        )  # fmt: skip


def _record(
    model: nn.Module, forward: Callable[[], object], cache: Callable[[], Iterable[Tensor]] = tuple
) -> Recording:
    with torch.device("meta"), default_dtype(DTYPE):
        return record_forward(model, forward, cache=cache)


class _EvenShares:
    """Gives the loop over experts choices with data, in even shares: it looks at them, and meta tensors have none.

    Parameters
    ----------
    model
        Of transformers.
    tokens
        Of one forward.
    """

    def __init__(self, model: nn.Module, tokens: int) -> None:
        self._routers: list[Any] = [
            module for module in model.modules() if type(module).__name__ == "UnlimitedOcrTextTopkRouter"
        ]
        self._choices = [
            (torch.arange(tokens * router.top_k) % router.num_experts).view(tokens, router.top_k)
            for router in self._routers
        ]
        self._indices = torch.empty(
            max((choice.numel() for choice in self._choices), default=0), dtype=torch.int64, device="meta"
        )

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """What stands in for tensors of the model, and is none of its activations."""
        return (*self._choices, self._indices)

    @contextmanager
    def hand_out(self) -> Iterator[None]:
        """Replace what routers choose while the context is open."""
        with ExitStack() as hooks:
            for router, choice in zip(self._routers, self._choices, strict=True):
                hooks.callback(router.register_forward_hook(_replace_choice(choice)).remove)
            hooks.enter_context(_MetaIndices(self._indices))
            yield


def _replace_choice(choice: Tensor) -> Callable[[nn.Module, object, tuple[Tensor, Tensor, Tensor]], object]:
    def replace(router: nn.Module, args: object, result: tuple[Tensor, Tensor, Tensor]) -> object:
        logits, weights, indices = result
        stand_in: Any = choice.view(indices.shape)
        stand_in.stands_for = indices  # which is alive as long
        return logits, weights, stand_in

    return replace


class _MetaIndices(TorchFunctionMode):
    """Hands ``index_add_`` its indices on the meta device: other operators take them from the CPU."""

    def __init__(self, indices: Tensor) -> None:
        super().__init__()
        self._indices = indices

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run ``func``."""
        if func is torch.Tensor.index_add_:
            target, dimension, indices, values = args
            args = (target, dimension, self._indices[: indices.numel()], values)
        return func(*args, **(kwargs or {}))
