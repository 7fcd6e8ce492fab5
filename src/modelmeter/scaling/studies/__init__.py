"""Studies: statements about a model that are derived from its formulas, with tables and pictures as data.

Those here are of any model; a model may have more of its own. What a model has no sizes for is left out, by name.

>>> import modelmeter
>>> from modelmeter.scaling import studies
>>> model = modelmeter.load("deepseek-ocr")
>>> [each.id for each in studies.list_studies(model)][:3]
['what-to-optimise', 'prompt-length', 'output-length']
"""

from modelmeter.scaling.studies.book import find_study, list_studies, write_book
from modelmeter.scaling.studies.card import Card
from modelmeter.scaling.studies.findings import Book, Findings
from modelmeter.scaling.studies.records import (
    Claim,
    ClosedForm,
    Column,
    IdentifiedStatement,
    Line,
    Mark,
    Picture,
    Study,
    StudyTable,
    Subject,
)  # fmt: skip

__all__ = [
    "Book", "Card", "Claim", "ClosedForm", "Column", "Findings", "IdentifiedStatement", "Line", "Mark", "Picture",
    "Study", "StudyTable", "Subject", "find_study", "list_studies", "write_book",
]  # fmt: skip
