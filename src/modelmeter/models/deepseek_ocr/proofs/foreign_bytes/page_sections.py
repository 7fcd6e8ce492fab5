"""The sections of the page: cases with what our formulas say of them."""

from __future__ import annotations

from functools import partial

from modelmeter.compiler import compile_model
from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.cases import list_page_cases, record_cases
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.formulas import FormulaValues
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.page import Section
from modelmeter.models.deepseek_ocr.proofs.foreign_bytes.sides import Models
from modelmeter.models.deepseek_ocr.workload import Workload
from modelmeter.verify.foreign_bytes.comparison import explain_peaks, explain_traffic


def list_sections(architecture: DeepSeekOCRArchitecture, workload: Workload) -> list[Section]:
    """Return the sections of ``workload``.

    Raises
    ------
    CountError
        If the transformers package is missing, or a difference has no known cause.
    """
    known = architecture.dimension_values()
    values = FormulaValues(compile_model(architecture))
    return [
        Section(
            title=case.title,
            traffic=explain_traffic(known, sides, case.causes),
            peaks=explain_peaks(known, sides, case.snapshots),
            formula_bytes=values.find_traffic(case.stage, sides.sizes),
            formula_peak=values.find_peak(case.stage, sides.sizes),
        )
        for case, sides in record_cases(partial(Models.build, architecture), list_page_cases(workload))
    ]
