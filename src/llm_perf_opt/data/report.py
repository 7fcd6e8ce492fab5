"""The analytic report: a model, a workload, and what each module costs."""

from __future__ import annotations

from typing import ClassVar

from attrs import field, frozen

from llm_perf_opt.data import rules
from llm_perf_opt.data.model_report import ModelReport, keep_order
from llm_perf_opt.data.prediction import Prediction
from llm_perf_opt.data.specification import DeepSeekOCRModelSpec, OCRWorkloadProfile


@frozen(kw_only=True, field_transformer=keep_order)
class AnalyticModelReport(ModelReport):
    """What a model costs under a workload, module by module.

    Fields that are not below are those of :class:`ModelReport`.

    Parameters
    ----------
    model, workload
        What it is about.
    prediction
        What the predicted times are made of, with exact integers, if the report says so.

    Raises
    ------
    RecordError
        As :class:`ModelReport`.
    """

    SCHEMA_VERSION: ClassVar[int] = 1

    model: DeepSeekOCRModelSpec = field(validator=rules.record(DeepSeekOCRModelSpec))
    workload: OCRWorkloadProfile = field(validator=rules.record(OCRWorkloadProfile))
    prediction: Prediction | None = field(default=None, validator=rules.or_none(rules.record(Prediction)))
