"""The import name of the evaluators of DeepSeek-OCR, which they are found by without sympy."""

from __future__ import annotations

from typing import Final

PACKAGE: Final = "deepseek_ocr_costs"
