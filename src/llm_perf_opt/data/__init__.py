"""Analytic data models: validated records, and how they are written and read."""

from llm_perf_opt.data.deepseek_ocr_analytic import *  # noqa: F403 - the list of names has one home
from llm_perf_opt.data.deepseek_ocr_analytic import __all__ as __all__
