"""From formulas as the layers state them to the smallest integer program we know how to find.

The rules are functions in the order of :data:`RULES`, each exact, and the report says what each saved.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache

import sympy
from attrs import define, field, frozen
from sympy.polys.rings import PolyElement

from modelmeter.errors import FormulaError
from modelmeter.functions import Differs, Equals, Exceeds, FloorDiv, IntegerFunction, Size
from modelmeter.polynomials import read_polynomials
from modelmeter.program import PRODUCT, SUM, Node, Operation, Output, Program, tidy
from modelmeter.sharing import share_pairs

Monomial = tuple[int, ...]
"""A product of unknowns: their numbers in ascending order, repeated for powers."""

Polynomial = dict[Monomial, int]
"""The coefficient of every monomial."""

_BRACKETS = (Differs, Equals, Exceeds)
