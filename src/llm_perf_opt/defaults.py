"""What is reported where nobody says otherwise."""

from __future__ import annotations

from typing import Final

WORKLOAD: Final = "gundam"
"""The page that the evaluators take by default, too."""

HARDWARE: Final = "h100-sxm"
DTYPE: Final = "bfloat16"
