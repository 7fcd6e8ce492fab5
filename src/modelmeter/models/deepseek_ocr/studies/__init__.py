"""The scaling studies that only this family of models has: its modes and resolutions, and its tiles."""

from typing import Final

from modelmeter.models.deepseek_ocr.studies import resolution, tiles
from modelmeter.scaling.studies.records import Study

STUDIES: Final[tuple[Study, ...]] = (resolution.STUDY, tiles.STUDY)
"""In the order in which they are shown."""
