"""The theorem book of the published model: what it must hold, that it replays, and that brute force agrees."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from fractions import Fraction

import pytest
from attrs import evolve
from tests.check_studies import check_statement, holds_at

from llm_perf_opt.studies import list_cards
from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.evaluate import evaluate
from modelmeter.scaling import (
    Crossover,
    Limit,
)
from modelmeter.scaling.studies import Book, write_book
from modelmeter.support.errors import FormulaError
from modelmeter.support.suggestions import UnknownNameError

H100 = "h100-sxm"


def value_of(book: Book, name: str) -> object:
    return book.find(name).value


def test_there_are_many_statements_and_each_has_its_own_name(book: Book) -> None:
    names = [each.id for each in book.statements]
    assert len(names) == len(set(names)) >= 200
    assert book.left_out == {}
    studies = [each.study.id for each in book.findings]
    assert studies == list(dict.fromkeys(studies))
    for each in book.statements:
        study, *subject, kind, over = each.id.split("/")
        assert study in studies
        assert subject
        assert kind == each.kind
        assert over in each.domain.ranges


def test_all_certificates_replay(book: Book) -> None:
    for each in book.statements:
        each.check()


def test_what_is_not_proved_says_where_it_was_checked(book: Book) -> None:
    open_ones = [each for each in book.statements if not each.statement.is_proved]
    assert len(open_ones) < len(book.statements) // 50
    for each in open_ones:
        assert each.statement.known.startswith("checked on ")
        assert each.statement.known in each.sentence
        assert "nothing is known beyond" in each.sentence


def test_brute_force_agrees_at_every_border(book: Book) -> None:
    generator = random.Random(7)
    points = [check_statement(each, 14, generator) for each in book.statements]
    # Those of two-sided limits and of what rises and falls claim nothing of a point.
    assert sum(count > 0 for count in points) > 0.9 * len(points)


def test_a_claim_that_is_wrong_is_found(book: Book) -> None:
    statement = book.find("prompt-length/prefill-attention-products-over-mlp/crossover/seq_len")
    (interval,) = statement.claim.intervals or ()
    assert holds_at(statement.claim, interval.first)
    assert not holds_at(statement.claim, interval.first - 1)
    late = evolve(statement, claim=evolve(statement.claim, intervals=(evolve(interval, first=interval.first + 1),)))
    with pytest.raises(AssertionError, match="brute force True"):
        check_statement(late, 14, random.Random(7))


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        # N >= r h / (h - r), r = 989.4 / 3.35 = 295.34, h = D F / (D + F): 640, 1078.4, 746.7, 1267.5 and 527.1.
        ("1280x1280", 549), ("1280x6848", 407), ("1280x1792", 489), ("1280x129280", 386), ("1280x896", 672),
    ],
)  # fmt: skip
def test_linear_layers_turn_compute_bound(book: Book, name: str, rows: int) -> None:
    assert value_of(book, f"cards/{H100}-{name}/crossover/num_tokens") == rows
    sides = [int(side) for side in name.split("x")]
    ratio, channels = Fraction(9894, 33500) * 1000, Fraction(sides[0] * sides[1], sum(sides))
    assert -(-(ratio * channels) // (channels - ratio)) == rows


def test_routed_experts_turn_compute_bound_late(book: Book) -> None:
    """E / k times as late: (64 / 6) x 295.34 x 527.06 / (527.06 - 295.34) = 7165.6."""
    assert (
        value_of(book, f"batch-and-experts/{H100}-decode-experts.gate-proj-compute-bound/crossover/batch_size") == 7166
    )
    dense = f"batch-and-experts/{H100}-decode-mlp.gate-proj-compute-bound/crossover/batch_size"
    assert value_of(book, dense) == 407


def test_a_narrow_matrix_never_is_compute_bound(book: Book) -> None:
    """768 x 768: h = 384 is less than r = 362.05 / 0.864 = 419 of an L40S."""
    statement = book.find("cards/l40s-768x768-bias/crossover/num_tokens").statement
    assert isinstance(statement, Crossover)
    assert statement.outcome == "never"


def test_a_router_in_float32_is_a_linear_layer_too(book: Book) -> None:
    """1280 x 64 at 4 bytes: 2 N 81920 FLOPs over 4 (1344 N + 81920) bytes tends to 30.48, of an H100 r is 295.3.

    Of an M1 Max r is 26: 163840 N = 26 (5376 N + 327680), so N = 8519680 / 24064 = 354.04.
    """
    router = book.find(f"cards/{H100}-1280x64-float32/crossover/num_tokens").statement
    assert isinstance(router, Crossover)
    assert router.outcome == "never"
    assert value_of(book, "cards/apple-m1-max-1280x64-float32/crossover/num_tokens") == 355
    (cards,) = (found for found in book.findings if found.study.id == "cards")
    assert sum("`mlp.gate` of 1,280 x 64 in float32" in text for text in cards.short) == 2
    (picture,) = (each for each in cards.pictures if each.name == f"intensity-{H100}")
    assert "lm_head (1,280 x 129,280)" in [line.label for line in picture.lines]
    assert [mark.at for mark in picture.marks if mark.label.startswith("lm_head")] == [386]


def test_half_of_the_attention_overtakes_the_mlps_at_twice_the_length(book: Book) -> None:
    """S (S + 1) / 2 pairs of S x S: (S + 1) / 2 = 32224 / 3 at S = 21481.67."""
    assert value_of(book, "prompt-length/prefill-causal-attention-products-over-mlp/crossover/seq_len") == 21482


def test_what_equals_the_prompt_is_named_where_it_matters(book: Book) -> None:
    every = book.find(f"prompt-length/{H100}-memory-in-prefill/largest/seq_len")
    last = book.find(f"prompt-length/{H100}-memory-in-prefill-last-logits/largest/seq_len")
    assert "at logits_tokens = seq_len" in every.sentence
    assert "logits_tokens = 1" in last.sentence
    assert every.value is not None
    assert last.value is not None
    assert every.value < last.value
    head = book.find("prompt-length/prefill-attention-products-over-lm-head/crossover/seq_len")
    assert (head.value, "lm_head in the prefill stage at logits_tokens = seq_len" in head.sentence) == (5387, True)


def test_attention_overtakes_the_mlps(book: Book) -> None:
    """4 S^2 D L = 6 S D (I + 11 (I_moe (6 + 2)) + gate): S = 32224 / 3."""
    statement = book.find("prompt-length/prefill-attention-products-over-mlp/crossover/seq_len").statement
    assert isinstance(statement, Crossover)
    assert (statement.value, str(statement.threshold)) == (10742, "32224/3")


def test_decode_never_turns_compute_bound(book: Book, published: CompiledModel) -> None:
    limit = book.find("batch-and-experts/decode-intensity/limit/batch_size").statement
    assert isinstance(limit, Limit)
    assert limit.side == "below"
    assert limit.value is not None
    # At a billion pages the weights hardly count any more.
    flops, moved = (
        evaluate(published.formula("decode", metric), {**published.defaults, "batch_size": 10**9})
        for metric in ("tensor_core_flops", "io_bytes")
    )
    assert Fraction(flops) / moved < limit.value < Fraction(flops) / moved + Fraction(1, 1000)
    for card in list_cards():
        statement = book.find(f"batch-and-experts/{card.id}-decode-intensity/crossover/batch_size").statement
        assert isinstance(statement, Crossover)
        assert statement.outcome == "never"


def test_the_largest_batch_is_the_largest(book: Book, published: CompiledModel) -> None:
    """Of all stages the least one; one page more is too much, by formulas that are put together here."""
    (card,) = list_cards([H100])
    limits = {
        name: value_of(book, f"batch-and-experts/{H100}-memory-in-{name}/largest/batch_size")
        for name in published.definition.stage_names
    }
    pages = min(int(str(limit)) for limit in limits.values())
    assert limits["prefill"] == pages

    def hold(batch: int) -> Fraction:
        sizes = {**published.defaults, "batch_size": batch}
        metrics = ("weight_bytes", "kv_cache_bytes", "peak_activation_bytes")
        return sum((Fraction(evaluate(published.formula("request", each), sizes)) for each in metrics), Fraction(0))

    assert hold(pages) <= card.memory_bytes < hold(pages + 1)


def test_sentences_are_for_people(book: Book) -> None:
    cards = "|".join(card.name for card in list_cards())
    for each in book.statements:
        assert each.sentence[0].isupper(), each.id
        assert each.sentence.endswith((").", "beyond.")), each.id
        # Numbers have separators of thousands; ids and paths of modules are no numbers.
        text = re.sub(cards, "a card", each.sentence)
        assert not re.search(r"(?<![\w.,-])\d{4,}(?![\w.-])", text), text
        assert any(name in each.sentence for name in each.domain.ranges), each.id


def test_no_expectation_reaches_all_experts(book: Book) -> None:
    """64 (1 - (58 / 64)^B) is less than 64 for every B: only parts of them are reached, 90 % from B = 24 on."""
    reached = [each for each in book.statements if "experts-read-" in each.id]
    assert [each.id.split("/")[1].partition("-read-")[2] for each in reached] == [
        "1-of-2", "9-of-10", "99-of-100", "999-of-1000",
    ]  # fmt: skip
    assert reached[1].value == 24
    assert Fraction(58, 64) ** 24 <= Fraction(1, 10) < Fraction(58, 64) ** 23


def test_every_study_answers_its_question_in_short(book: Book) -> None:
    for found in book.findings:
        assert 1 <= len(found.short) <= 7, found.study.id
        assert len(set(found.short)) == len(found.short)


def test_nothing_is_said_in_both_directions(book: Book) -> None:
    """That one is always at least another, and that the other never is more, is one statement."""
    ids = {each.id for each in book.statements}
    for times in ("2", "3", "4"):
        for over in ("batch_size", "seq_len"):
            either = {
                f"training/step-over-{times}-forwards/crossover/{over}",
                f"training/{times}-forwards-over-step/crossover/{over}",
            }
            assert len(either & ids) == 1


def test_what_is_exactly_its_leading_term_has_no_share_of_it(book: Book) -> None:
    """The cache of a request is proportional to the batch; the growth of the prefill over a prompt has lower terms."""
    for each in book.statements:
        if each.kind == "order" and " grows as " not in each.sentence:
            assert "% of the whole" not in each.sentence
    assert any(each.kind == "order" and " grows as " not in each.sentence for each in book.statements)


def test_a_study_that_there_is_not(published: CompiledModel) -> None:
    with pytest.raises(UnknownNameError, match="did you mean tiles"):
        write_book(published, names=["tile"])


def test_what_cannot_be_asked_is_left_out_by_name(published: CompiledModel) -> None:
    book = write_book(published, names=["cards", "training"])
    assert book.left_out == {"cards": "no card is given"}
    assert [each.study.id for each in book.findings] == ["training"]
    with pytest.raises(FormulaError, match="no statement"):
        book.find("cards/h100-sxm-1280x1280/crossover/num_tokens")


def test_the_bytes_are_the_same_on_any_hash_seed() -> None:
    code = (
        "import json, modelmeter; from modelmeter.scaling.studies import write_book; "
        "from llm_perf_opt.studies import list_cards; "
        "names = ['cards', 'training', 'rules-of-thumb', 'prompt-length']; "
        "print(json.dumps(write_book(modelmeter.load(), list_cards(['h100-sxm']), names=names).to_json()))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, timeout=300,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(texts) == 1
