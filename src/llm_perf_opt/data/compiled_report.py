"""The report of a request to a compiled model: any model whose evaluators are in a folder of their own."""

from __future__ import annotations

from typing import ClassVar

from attrs import field, frozen

from llm_perf_opt.data import rules
from llm_perf_opt.data.model_report import ModelReport, keep_order
from llm_perf_opt.data.prediction import Prediction


@frozen(kw_only=True)
class CompiledModelSpec:
    """The compiled model that a report is about.

    Parameters
    ----------
    model_id
        Its name in the registry.
    qualified_class_name
        The class of its outermost module, with the package.
    evaluators
        The digest of its evaluators, which tells apart models that were compiled under one name.

    Raises
    ------
    RecordError
        If a field breaks its rule.
    """

    model_id: str = field(validator=rules.IDENTIFIER)
    qualified_class_name: str = field(validator=rules.IDENTIFIER)
    evaluators: str = field(validator=rules.IDENTIFIER)


@frozen(kw_only=True)
class CompiledWorkload:
    """The request: its sizes are those of the prediction.

    Parameters
    ----------
    profile_id
        What snapshots call it.
    description
        What it is, in a sentence.
    page_width, page_height
        Sides of the page in pixels which sizes follow from, both or neither.

    Raises
    ------
    RecordError
        If a field breaks its rule.
    """

    profile_id: str = field(validator=rules.IDENTIFIER)
    description: str = field(validator=rules.TEXT)
    page_width: int | None = field(default=None, validator=rules.or_none(rules.whole_number(1)))
    page_height: int | None = field(default=None, validator=rules.or_none(rules.whole_number(1)))


@frozen(kw_only=True, field_transformer=keep_order)
class CompiledModelReport(ModelReport):
    """What a request to a compiled model costs, module by module.

    Fields that are not below are those of :class:`ModelReport`.

    Parameters
    ----------
    model, workload
        What it is about.
    prediction
        What the predicted times are made of, with exact integers.

    Raises
    ------
    RecordError
        As :class:`ModelReport`.
    """

    SCHEMA_VERSION: ClassVar[int] = 1

    model: CompiledModelSpec = field(validator=rules.record(CompiledModelSpec))
    workload: CompiledWorkload = field(validator=rules.record(CompiledWorkload))
    prediction: Prediction = field(validator=rules.record(Prediction))
