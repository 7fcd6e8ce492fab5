"""``torch.nn.Embedding``."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from sympy import expand
from torch import nn

from modelmeter.layers.embedding import Embedding
from modelmeter.models.deepseek_ocr.dimensions import symbol

n, rows, c = symbol("num_tokens"), symbol("num_embeddings"), symbol("embedding_dim")
w, a = symbol("weight_bits"), symbol("activation_bits")


def test_the_formulas_are_the_products_written_by_hand() -> None:
    cost = Embedding.canonical().cost
    assert cost.tensor_core_flops == cost.cuda_core_flops == 0
    # It reads the rows that it takes, whatever the table holds, and an index of 64 bits for each.
    assert expand(cost.io_bytes - (n * c * w + 64 * n + n * c * a) / 8) == 0
    assert expand(cost.weight_bytes - rows * c * w / 8) == 0
    assert expand(cost.activation_bytes - n * c * a / 8) == 0


@pytest.mark.parametrize(("shape", "num_embeddings", "embedding_dim"), [((2, 3), 5, 7), ((13,), 3, 11)])
def test_it_counts_what_torch_does(
    check_layer: Callable[..., None], shape: tuple[int, ...], num_embeddings: int, embedding_dim: int
) -> None:
    embedding = nn.Embedding(num_embeddings, embedding_dim, device="meta")
    ids = torch.zeros(shape, dtype=torch.int64, device="meta")
    check_layer(
        Embedding(leading_shape=shape, num_embeddings=rows, embedding_dim=c),
        {"num_embeddings": num_embeddings, "embedding_dim": embedding_dim}, embedding, lambda: embedding(ids),
    )  # fmt: skip


@pytest.mark.parametrize(("shape", "num_embeddings", "embedding_dim"), [((2, 3), 5, 7), ((13,), 3, 11)])
def test_its_backward_is_what_autograd_does(
    check_training: Callable[..., None], shape: tuple[int, ...], num_embeddings: int, embedding_dim: int
) -> None:
    embedding = nn.Embedding(num_embeddings, embedding_dim, device="meta")
    ids = torch.zeros(shape, dtype=torch.int64, device="meta")
    check_training(
        Embedding(leading_shape=shape, num_embeddings=rows, embedding_dim=c),
        {"num_embeddings": num_embeddings, "embedding_dim": embedding_dim}, embedding, lambda: embedding(ids),
    )  # fmt: skip
