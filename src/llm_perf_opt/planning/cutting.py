"""How the pages of a plan were cut into views, and whether that is the only way."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen


@frozen(kw_only=True)
class Cutting:
    """Where pages are from, and how they were cut.

    Parameters
    ----------
    source
        The file, the workload, or the page.
    preprocessing
        The vendor's program; None where the views were given.
    is_chosen
        Whether someone said that it is this one.
    cut_otherwise
        By other programs, how many pages these cut in another way; only where nobody said which one.
    """

    source: str
    preprocessing: str | None
    is_chosen: bool
    cut_otherwise: Mapping[str, int] = field(factory=dict)
