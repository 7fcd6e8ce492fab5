"""The ids that were ever published: a list that only grows, so that an id keeps its address.

The file is generated as all others are, from itself and from the formulas of today. What is in it stays; a formula that
has changed has another id, which is added. It ends in a digest of its own lines, so that a line that was removed or
altered by hand is found when the file is read, and not made up for.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from typing import Any, Final

from attrs import frozen

from modelmeter.publishing.identity import SHOWN_DIGITS, FormulaId
from modelmeter.support.errors import ModelMeterError
from modelmeter.support.files import describe_failure, read_text
from modelmeter.support.strict_json import parse_object

_RESTORE: Final = "restore the file from version control, and compile again"
_KEYS: Final = frozenset({"ids", "sha256"})


class IdError(ModelMeterError):
    """The list of published ids is damaged, or two formulas have one id."""


@frozen(kw_only=True)
class PublishedId:
    """An id, its whole digest, and the version of this library that published it first."""

    id: str
    digest: str
    version: str

    @property
    def address(self) -> str:
        """The id without the digest."""
        return self.id.partition("@")[0]


@frozen
class IdRegistry:
    """All published ids, the oldest first."""

    entries: tuple[PublishedId, ...] = ()

    def add(self, ids: Iterable[FormulaId], version: str) -> IdRegistry:
        """Return the registry with those of ``ids`` that it lacks at its end.

        Raises
        ------
        IdError
            If two formulas with different digests have one id.
        """
        known = {entry.id: entry.digest for entry in self.entries}
        added = []
        for found in ids:
            if known.setdefault(str(found), found.digest) != found.digest:
                raise IdError(
                    "two formulas have one id", place=str(found), expected=known[str(found)], found=found.digest,
                    remedy=f"show more than {SHOWN_DIGITS} digits of digests",
                )  # fmt: skip
            added.append(PublishedId(id=str(found), digest=found.digest, version=version))
        new = {entry.id: entry for entry in added if entry.id not in {old.id for old in self.entries}}
        return IdRegistry((*self.entries, *new.values()))

    def newest(self, address: str) -> PublishedId | None:
        """Return the newest id at an address: the one that an older id there leads to; None where there is none."""
        return next((entry for entry in reversed(self.entries) if entry.address == address), None)

    def to_json(self) -> str:
        """Return the registry as JSON text, a line for each id."""
        lines = [json.dumps([entry.id, entry.digest, entry.version]) for entry in self.entries]
        listed = ",\n".join(lines)
        return f'{{\n"ids": [\n{listed}\n],\n"sha256": "{_digest_lines(lines)}"\n}}\n'

    @classmethod
    def from_json(cls, text: str) -> IdRegistry:
        """Return the registry in JSON text.

        Raises
        ------
        IdError
            If the text is not such a registry, or not the one that was written.
        """
        try:
            document = parse_object(text)
        except ValueError as error:
            raise IdError("the list of ids is not JSON", found=error, remedy=_RESTORE) from None
        if document.keys() != _KEYS:
            raise IdError("this is no list of ids", expected=sorted(_KEYS), found=sorted(document), remedy=_RESTORE)
        rows = document["ids"]
        if not isinstance(rows, list) or not all(map(_is_row, rows)):
            raise IdError(
                "the list of ids is damaged", place="ids", expected="rows of id, digest and version", remedy=_RESTORE
            )
        found = _digest_lines(map(json.dumps, rows))
        if found != document["sha256"]:
            raise IdError(
                "the list of ids was altered: an id that was published stays", place="sha256",
                expected=document["sha256"], found=found, remedy=_RESTORE,
            )  # fmt: skip
        return cls(tuple(PublishedId(id=row[0], digest=row[1], version=row[2]) for row in rows))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> IdRegistry:
        """Return the registry in a file, or an empty one where there is no such file.

        Raises
        ------
        IdError
            If the file cannot be read, or as :meth:`from_json`.
        """
        try:
            return cls.from_json(read_text(path))
        except (FileNotFoundError, NotADirectoryError):
            return cls()
        except (OSError, UnicodeDecodeError) as error:
            raise IdError("the list of ids cannot be read", place=str(path), found=describe_failure(error)) from None
        except IdError as error:
            raise IdError(
                error.problem, place=f"{path}: {error.place}".removesuffix(": "), expected=error.expected,
                found=error.found, remedy=error.remedy,
            ) from None  # fmt: skip


def _is_row(row: Any) -> bool:
    return isinstance(row, list) and len(row) == 3 and all(isinstance(value, str) for value in row)


def _digest_lines(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
