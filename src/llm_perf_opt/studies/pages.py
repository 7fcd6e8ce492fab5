"""Studies as Markdown: a page each, and an index that says in short what they found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from llm_perf_opt.studies.formulas import explain_brackets, list_letters, to_latex
from llm_perf_opt.studies.markup import to_markdown
from modelmeter.dimensions.symbols import Dimensions
from modelmeter.scaling.studies import Book, Card, Findings, IdentifiedStatement, StudyTable
from modelmeter.scaling.studies.words import write_number, write_rounded

INDEX: Final = "README.md"
FIRST_LINE: Final = "<!-- Written by `modelmeter study`: change the library, not this page. -->"

_KINDS: Final = {
    "crossover": "Thresholds", "largest": "The largest that fits", "smallest": "The first that reaches",
    "order": "How it grows", "limit": "What it tends to", "monotone": "Which way it goes", "sign": "Signs",
    "regimes": "Which is the largest", "elasticity": "How fast it grows", "rule_of_thumb": "How wrong a rule is",
    "steps": "Where it jumps", "optimum": "Where it is best", "difference": "What another costs more",
    "regime_map": "Which is the largest, over two sizes",
}  # fmt: skip


def table_path(study: str, name: str, suffix: str) -> str:
    """Return where a table is, below the folder."""
    return f"tables/{study}-{name}.{suffix}"


def picture_path(study: str, name: str, suffix: str) -> str:
    """Return where a picture is, below the folder."""
    return f"pictures/{study}-{name}.{suffix}"


def render_page(book: Book, found: Findings) -> str:
    """Return the page of a study."""
    return "\n".join([*_render_page(book, found), ""])


def _render_page(book: Book, found: Findings) -> Iterator[str]:
    study = found.study
    yield from (FIRST_LINE, "", f"# {study.title}", "", f"**{study.question}**", "")
    yield f"Of {book.model}, derived from its compiled formulas. [All studies]({INDEX})"
    yield from ("", "## In short", "", *(f"- {each}" for each in found.short))
    yield from (line for table in found.tables if table.is_summary for line in _render_table(found, table))
    if found.closed_forms:
        yield from ("", "## Closed forms", "")
        for form in found.closed_forms:
            text = to_latex(form.formula, book.dimensions)
            unit = f" ({form.unit})" if form.unit and f"({form.unit})" not in form.words else ""
            at = f", at {form.where}" if form.where else ""
            yield f"{form.words[0].upper()}{form.words[1:]}{unit}{at}:"
            yield from ("", "```math", text, "```", "") if text else ("", "longer than a page has room for.", "")
        letters = list_letters((form.formula for form in found.closed_forms), book.dimensions)
        if letters:
            yield from ("| letter | size | meaning |", "| --- | --- | --- |")
            yield from (f"| $`{letter}`$ | `{name}` | {meaning} |" for letter, name, meaning in letters)
        formulas = [form.formula for form in found.closed_forms]
        yield from ("", *(f"- {each}" for each in explain_brackets(formulas)))
    yield from _render_pictures(found)
    yield from _render_tables(found)
    yield from ("", "## Statements", "", f"{len(found.statements):,} statements, each with its id, by kind.")
    for kind in dict.fromkeys(each.kind for each in found.statements):
        yield from ("", f"### {_KINDS.get(kind, kind.replace('_', ' ').capitalize())}", "")
        yield from (_render_statement(each, book.dimensions) for each in found.statements if each.kind == kind)


def _render_pictures(found: Findings) -> Iterator[str]:
    if found.pictures:
        yield from ("", "## Pictures")
    for picture in found.pictures:
        paths = {suffix: picture_path(found.study.id, picture.name, suffix) for suffix in ("svg", "png", "pdf")}
        yield from ("", f"![{picture.title}]({paths['svg']})", "")
        yield f"{picture.caption}. [SVG]({paths['svg']}), [PNG]({paths['png']}), [PDF]({paths['pdf']})"


def _render_tables(found: Findings) -> Iterator[str]:
    listed = [table for table in found.tables if not table.is_summary]
    if listed:
        yield from ("", "## Tables")
    for table in listed:
        yield from _render_table(found, table)


def _render_table(found: Findings, table: StudyTable) -> Iterator[str]:
    paths = [f"[{name}]({table_path(found.study.id, table.name, suffix)})" for name, suffix in _FORMATS]
    yield from ("", f"**{table.caption}.** {', '.join(paths)}", "", to_markdown(table))


_WORDS: Final = (
    "seq_len", "logits_tokens", "max_new_tokens", "decode_steps", "batch_size", "vision_batch_size", "base_size",
    "image_size", "num_width_tiles", "num_height_tiles", "weight_bits", "kv_bits",
)  # fmt: skip
"""Sizes that sentences name most, where a model has them."""


def _list_words(dimensions: Dimensions) -> Iterator[str]:
    """Yield what the sizes in sentences mean."""
    listed = [dimensions.describe(name) for name in _WORDS if name in dimensions.settable]
    if listed:
        yield from ("", "## Words", "", "| size | unit | meaning |", "| --- | --- | --- |")
        yield from (f"| `{each.name}` | {each.unit} | {each.meaning} |" for each in listed)


_FORMATS: Final = (("CSV", "csv"), ("Parquet", "parquet"), ("LaTeX", "tex"))


def _render_statement(each: IdentifiedStatement, dimensions: Dimensions) -> str:
    formula = to_latex(each.statement.formula, dimensions)
    shown = f" Formula: $`{formula}`$." if formula is not None and not formula.replace(r"\,", "").isdigit() else ""
    return f"- {each.sentence}{shown} *{explain_knowledge(each)}* `{each.id}`"


def explain_knowledge(each: IdentifiedStatement) -> str:
    """Return how a statement is known: how its certificates prove it, or where it was checked."""
    statement = each.statement
    if not statement.is_proved:
        return f"{statement.known[0].upper()}{statement.known[1:]}."
    techniques = dict.fromkeys(certificate.technique for certificate in statement.certificates)
    return f"Proved: {'; '.join(techniques)}."


def render_index(book: Book, cards: tuple[Card, ...]) -> str:
    """Return the index."""
    return "\n".join([*_render_index(book, cards), ""])


def _render_index(book: Book, cards: tuple[Card, ...]) -> Iterator[str]:
    statements = book.statements
    proved = sum(each.statement.is_proved for each in statements)
    yield from (FIRST_LINE, "", f"# What the formulas of {book.model} say", "")
    yield (
        f"{len(statements):,} statements, derived from the compiled formulas. {proved:,} are proved, with certificates "
        f"that replay; {len(statements) - proved:,} are evaluated point by point, and say where. All of them are in "
        "[statements.json](statements.json), and in short as [CSV](tables/statements.csv) and "
        "[Parquet](tables/statements.parquet)."
    )
    yield from ("", "| study | statements | question |", "| --- | --- | --- |")
    for found in book.findings:
        yield f"| [{found.study.title}]({found.study.id}.md) | {len(found.statements):,} | {found.study.question} |"
    for name, reason in book.left_out.items():
        yield f"| {name} | left out: {reason} | |"
    for found in book.findings:
        yield from ("", f"## {found.study.title}", "", found.study.question, "", *(f"- {each}" for each in found.short))
        yield from (line for table in found.tables if table.is_summary for line in _render_table(found, table))
    yield from _list_words(book.dimensions)
    if cards:
        yield from (
            "",
            "## Cards",
            "",
            "Peak rates at 16 bits without sparsity. Usable bytes are the memory of the card without what its file "
            "reserves for the driver and the program: what is there for weights, cache and activations.",
            "",
        )
        yield "| card | FLOP/s of matrix products | other FLOP/s | byte/s | r = FLOP/byte | usable bytes |"
        yield "| --- | --- | --- | --- | --- | --- |"
    for card in cards:
        rates = (card.tensor_flops_per_second, card.vector_flops_per_second, card.memory_bytes_per_second)
        cells = (card.name, *map(write_number, rates), write_rounded(card.flops_per_byte), f"{card.memory_bytes:,}")
        yield "| " + " | ".join(cells) + " |"
    yield from ("", "## How to read this", "")
    yield (
        "One multiply-accumulate is 2 FLOPs. Attention counts the full rectangle of queries and keys, q x kv: that is "
        "the convention of PyTorch's FLOP counter. A causal kernel that skips what its mask hides does about half of "
        "the prefill's, and attention then overtakes other parts at about twice the length; statements that say "
        "*half of it skipped under a causal mask* have the exact numbers. Each operator reads each of its inputs and "
        "weights once and writes its "
        "output once. A roofline time is a bound from below: for each operator the larger of its arithmetic and its "
        "memory traffic at the peak rates of the card, added up over a stage; its arithmetic is its matrix products at "
        "the rate for these, and all else that it computes at the other rate. Where a statement says *compute-bound*, "
        "it is about matrix products alone, so that only the ratio r of the card counts. What a card holds is all "
        "weights, the "
        "cache as it is after the last step, and the activations of the stage at its peak. What fits, fits by memory "
        "alone: how long a context a model was trained for, or how many tiles its preprocessing cuts, is not part of "
        "the formulas. A sentence ends with the "
        "sizes for which it holds; all others do not matter, or are those of the architecture."
    )
