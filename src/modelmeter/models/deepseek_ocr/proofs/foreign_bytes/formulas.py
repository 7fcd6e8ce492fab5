"""What our formulas say of the cases, where experts take even shares."""

from __future__ import annotations

from collections.abc import Mapping

from modelmeter.compiled_model import CompiledModel
from modelmeter.dimensions.evaluate import Evaluator
from modelmeter.dimensions.functions import Size, bounded_routed_reads, ceil_div
from modelmeter.models.deepseek_ocr.dimensions import symbol
from modelmeter.support.errors import CountError
from modelmeter.verify.foreign_bytes.causes import BFLOAT16

_WITHOUT_TILES = {"num_width_tiles": 0, "num_height_tiles": 0}

_JOIN = 2 * BFLOAT16 * symbol("num_views") * ceil_div(symbol("grid_size"), 4) ** 2 * 2 * symbol("clip_hidden_size")
"""Bytes that joining the features of both towers moves, of one page."""


class FormulaValues:
    """Evaluates the formulas of a model.

    Parameters
    ----------
    compiled
        The model.
    """

    def __init__(self, compiled: CompiledModel) -> None:
        self._compiled = compiled

    def find_traffic(self, stage: str, sizes: Mapping[str, int]) -> int:
        """Return the bytes that a case moves.

        Of views these are the formulas of the towers, of the projector's layer, and of the join of features between
        them; the stage ``projector`` also has what puts image tokens into the prompt.
        """
        by_module = self._compiled.totals.by_module
        if stage != "views":
            return self._evaluate(by_module[""][stage].io_bytes, stage, sizes)
        modules = (("", "vision"), ("model.projector", "projector"))
        formulas = [by_module[path][name].io_bytes for path, name in modules]
        join = sizes["batch_size"] * self._evaluate(_JOIN, stage, sizes)
        return join + sum(self._evaluate(formula, stage, sizes) for formula in formulas)

    def find_peak(self, stage: str, sizes: Mapping[str, int]) -> int | None:
        """Return the bytes that are alive at the peak of a case; None of views, which are a part of a stage."""
        return None if stage == "views" else self._evaluate(self._compiled.peaks[stage].formula, stage, sizes)

    def _evaluate(self, formula: Size, stage: str, sizes: Mapping[str, int]) -> int:
        value = Evaluator({**self._compiled.defaults, **_name_sizes(stage, sizes)}, bounded_routed_reads)(formula)
        if not isinstance(value, int):
            raise CountError("a formula of bytes is not whole", found=value)
        return value


def _name_sizes(stage: str, sizes: Mapping[str, int]) -> dict[str, int]:
    """Return the sizes of a case by the names of the workload."""
    if stage == "views":
        # As many pages of one view: those that share a call of the towers are the views of one page here.
        views = {"batch_size": sizes["batch_size"] * sizes["num_views"], "vision_batch_size": sizes["num_views"]}
        return {**sizes, **views, "base_size": sizes["view_size"], **_WITHOUT_TILES}
    prompt = sizes["num_keys"] - (stage == "decode")  # the first step after it sees one key more
    steps = {"decode_steps": 1, "decode_step": 1}
    return {**sizes, "vision_batch_size": 1, "seq_len": prompt, **steps, **_WITHOUT_TILES}
