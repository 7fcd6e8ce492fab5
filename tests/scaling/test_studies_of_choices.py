"""Studies of choices: every kind of answer is in one, and chunks and modes are what brute force says."""

from __future__ import annotations

from fractions import Fraction

from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.models.deepseek_ocr.studies.resolution import MODES
from modelmeter.scaling import Regimes
from modelmeter.scaling.studies import Book


def test_every_kind_of_answer_is_in_a_study(book: Book) -> None:
    assert {each.kind for each in book.statements} >= {
        "crossover", "largest", "smallest", "limit", "order", "elasticity", "steps", "regimes", "monotone",
        "difference", "rule_of_thumb", "optimum", "regime_map",
    }  # fmt: skip


def test_no_study_begins_most_sentences_alike(book: Book) -> None:
    assert not any(each.sentence.startswith("At every") for each in book.statements)


def test_chunks_add_up_to_their_prompt(book: Book, published: CompiledModel) -> None:
    """The first chunk is a prefill, and each later one reads what was cached before: added up here one by one."""
    steps = published.definition.list_server_steps()
    statement = book.find("chunked-prefill/512-over-whole-io-bytes/crossover/num_chunks")
    for count in (1, 2, 7):
        cut = evaluate(
            published.formula("prefill", "io_bytes"), {**published.defaults, "seq_len": 512, "logits_tokens": 1}
        )
        for place in range(1, count):
            sizes = {**published.defaults, "seq_len": 512, "logits_tokens": 0, "cached_tokens": 512 * place}
            cut += evaluate(steps["chunk"].io_bytes, sizes)
        whole = evaluate(
            published.formula("prefill", "io_bytes"), {**published.defaults, "seq_len": 512 * count, "logits_tokens": 1}
        )
        found = [evaluate(side, {"num_chunks": count}) for side in (statement.claim.left, statement.claim.right)]
        assert found == [cut, whole]


def test_the_cheapest_mode_is_the_cheapest(book: Book, published: CompiledModel) -> None:
    statement = book.find("resolution-and-modes/per-token-tensor-core-flops/regimes/max_new_tokens").statement
    assert isinstance(statement, Regimes)
    formula = published.formula("request", "tensor_core_flops")
    (tokens,) = (each.formula for each in published.definition.derived if each.name == "image_tokens")
    for text in (5, 100, 10_007):
        costs = {}
        for mode, sizes in MODES.items():
            given = {**published.defaults, **sizes, "max_new_tokens": text, "decode_steps": text - 1}
            seen = evaluate(tokens, given)
            given |= {"seq_len": seen + 10, "logits_tokens": seen + 10}
            costs[mode] = Fraction(evaluate(formula, given)) / seen
        assert statement.winner_at(text) == min(costs, key=costs.__getitem__)


def test_a_page_costs_least_in_the_smallest_mode(book: Book, published: CompiledModel) -> None:
    """And the border at which another costs at most a tenth more is that of the formulas, evaluated on both sides."""
    statement = book.find("resolution-and-modes/per-page-tensor-core-flops/regimes/max_new_tokens").statement
    assert isinstance(statement, Regimes)
    assert [each.winner for each in statement.regimes] == ["tiny"]
    (tokens,) = (each.formula for each in published.definition.derived if each.name == "image_tokens")
    formula = published.formula("request", "tensor_core_flops")

    def cost(mode: str, text: int) -> Fraction:
        given = {**published.defaults, **MODES[mode], "max_new_tokens": text, "decode_steps": text - 1}
        seen = evaluate(tokens, given)
        return Fraction(evaluate(formula, {**given, "seq_len": seen + 10, "logits_tokens": seen + 10}))

    border = book.find("resolution-and-modes/gundam-near-tiny-tensor-core-flops/crossover/max_new_tokens").value
    assert border is not None
    assert 10 * cost("gundam", int(border)) <= 11 * cost("tiny", int(border))
    assert 10 * cost("gundam", int(border) - 1) > 11 * cost("tiny", int(border) - 1)
