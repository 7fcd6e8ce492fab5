"""The addresses of all ids that were ever published: each leads to its formula, or to the one that has its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from modelmeter.publishing.data.id_registry import IdRegistry
from modelmeter.publishing.identity import FormulaId
from modelmeter.publishing.site.entries import Entry


@frozen(kw_only=True)
class ListedId:
    """An id.

    Parameters
    ----------
    id, version
        The id, and the version that published it first; no version where this one does.
    is_current
        Whether the formula is the one of today.
    link
        Where the formula of today of the same metric is; empty if nothing has it any more.
    """

    id: str
    version: str
    is_current: bool
    link: str


def list_ids(
    registry: IdRegistry,
    current: Mapping[tuple[str, str], FormulaId],
    stages: Mapping[str, Sequence[Entry]],
    layers: Mapping[str, Sequence[Entry]],
) -> list[ListedId]:
    """Return all ids of a model, those of today that the registry lacks at the end.

    Parameters
    ----------
    registry
        What was published, of this and of other models.
    current
        The ids of today.
    stages, layers
        The entries, by the name of their page.
    """
    now = {str(found) for found in current.values()}
    models = {found.partition("/")[0] for found in now}
    links: dict[str, str] = {}
    for folder, subjects in (("stages", stages), ("layers", layers)):
        for name, entries in subjects.items():
            links |= {each.id.address: f"{folder}/{name}.html#{each.anchor}" for each in entries}
            for found in (each for each in current.values() if each.subject == name):
                # What has no entry of its own, as the peak of a request, is said on the page of its subject.
                links.setdefault(found.address, f"{folder}/{name}.html")
    published = {entry.id: entry.version for entry in registry.entries if entry.id.partition("/")[0] in models}
    listed = published | dict.fromkeys(sorted(now - published.keys()), "")
    return [
        ListedId(id=found, version=version, is_current=found in now, link=links.get(found.partition("@")[0], ""))
        for found, version in listed.items()
    ]
