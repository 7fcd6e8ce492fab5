"""Folders that ``modelmeter compile`` has written of a traced model: named by a user, compared with their digests."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen
from cattrs import ClassValidationError, transform_error

from modelmeter.frontend.cards.page_rules import PageRule
from modelmeter.frontend.serving import list_beside, make_serving
from modelmeter.model.registry import Registration, list_models, register_lazily
from modelmeter.support.checked_imports import CheckedFinder, digest_text, install_finder, read_checked
from modelmeter.support.errors import ModelMeterError
from modelmeter.support.files import describe_failure, read_text
from modelmeter.support.generated_files import GRAPH_FILE
from modelmeter.support.strict_json import make_converter, parse_object

if TYPE_CHECKING:  # it comes with sympy, which evaluators do without
    from modelmeter.model.definition import Model

MANIFEST_FILE: Final = "compiled_model.json"
"""In the package of a compiled model: what it is, and the digests of its files."""

TRACED_FILE: Final = "traced_model.json"
"""Beside it: what the formulas are made of."""

CHECKS_FILE: Final = "checks.json"
"""Beside them: what was compared, where, and how."""

RECORDED_CHECKS: Final = "RECORDED_CHECKS"
"""What has the path of that file beside the record of an opened model; see ``find_beside``."""

FORMAT: Final = 1

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,100}")
_PACKAGE: Final = re.compile(r"[a-z][a-z0-9_]{0,100}_costs")
_PART: Final = re.compile(r"[\w-]+(\.[\w-]+)*")
_FILE: Final = re.compile(r"[\w-]+\.[a-z]+(\.[a-z]+)?")


class FolderError(ModelMeterError):
    """A folder holds no compiled model, or one that was damaged or is of another version."""


@frozen(kw_only=True)
class Manifest:
    """What a compiled folder holds.

    Parameters
    ----------
    format_version
        Of the folder.
    modelmeter
        The version that wrote it.
    name, title, package
        Of the model in the registry and on pages, and the import name of its evaluators.
    stages
        The names of its stages.
    workload
        Its default sizes.
    page_rule
        How it looks at pages, if it does.
    digests
        By name of a file in the package, SHA-256 in hexadecimal digits.
    max_position_embeddings
        How many positions its config names; None where it does not, or where the folder was written before they were
        kept.
    refused
        The reason for each stage that is refused, by name.
    other_digests
        The same of pages, data and copies in other languages, by path from the folder that the package is in.
    """

    format_version: int
    modelmeter: str
    name: str
    title: str
    package: str
    stages: tuple[str, ...]
    workload: Mapping[str, int]
    page_rule: PageRule | None
    digests: Mapping[str, str]
    max_position_embeddings: int | None = None
    refused: Mapping[str, str] = field(factory=dict)
    other_digests: Mapping[str, str] = field(factory=dict)

    def check(self) -> None:
        """Raise a ValueError unless all names can be what they are for."""
        for text, pattern in ((self.name, _NAME), (self.package, _PACKAGE), *((file, _FILE) for file in self.digests)):
            if not pattern.fullmatch(text):
                raise ValueError(f"no model has the name {text!r}")
        for path in self.other_digests:
            if not all(_PART.fullmatch(part) for part in path.split("/")):
                raise ValueError(f"no file has the path {path!r}")
        missing = {"__init__.py", GRAPH_FILE, TRACED_FILE} - self.digests.keys()
        if missing:
            raise ValueError(f"{', '.join(sorted(missing))} is not among the digests")


def write_manifest(
    files: Mapping[str, str], *, name: str, title: str, package: str, stages: tuple[str, ...],
    workload: Mapping[str, int], page_rule: PageRule | None = None, max_position_embeddings: int | None = None,
    refused: Mapping[str, str] = MappingProxyType({}),
) -> str:  # fmt: skip
    """Return the manifest of the files of a compiled model, by path from the folder that its package is in."""
    inside = {path.removeprefix(f"{package}/"): text for path, text in files.items() if path.startswith(f"{package}/")}
    manifest = Manifest(
        format_version=FORMAT, modelmeter=version("modelmeter"), name=name, title=title, package=package,
        stages=stages, workload=workload, page_rule=page_rule,
        digests={file: digest_text(inside[file]) for file in sorted(inside)},
        max_position_embeddings=max_position_embeddings, refused=refused,
        other_digests={
            path: digest_text(files[path]) for path in sorted(files) if not path.startswith(f"{package}/")
        },
    )  # fmt: skip
    return json.dumps(make_converter().unstructure(manifest), indent=1) + "\n"


def is_folder(name: str) -> bool:
    """Tell whether a user who says this means a folder, and no registered model."""
    return name not in list_models() and (os.sep in name or "/" in name or os.path.isdir(name))


def open_folder(folder: str | os.PathLike[str]) -> str:
    """Register the model in a compiled folder for this process, and return its name.

    Nothing of the folder is run before its evaluators are asked for, and then only files with the digests of its
    manifest. Digests tell damage and mixtures of versions apart from what was written, no more: name folders that you
    trust.

    Parameters
    ----------
    folder
        Where ``modelmeter compile`` wrote to, or the package in it.

    Raises
    ------
    FolderError
        If it holds no compiled model, or several, or one of another version.
    RegistryError, DigestError
        If an installed model or package has its name, or a file of the package is missing or was changed.
    """
    place = _find_package(Path(folder))
    manifest = _read_manifest(place / MANIFEST_FILE)
    if place.resolve().name != manifest.package:
        raise FolderError(
            "the package of a compiled model was renamed", place=str(place), expected=manifest.package,
            remedy="compile the model again",
        )  # fmt: skip
    for file, digest in manifest.digests.items():  # also what no evaluator imports: counts, formulas, what was checked
        read_checked(place / file, digest)
    install_finder(CheckedFinder(manifest.package, place.resolve(), manifest.digests))

    @cache
    def load() -> Model:
        return _load_model(place, manifest)

    beside = list_beside(
        make_serving(manifest.stages, manifest.workload), manifest.page_rule, manifest.max_position_embeddings,
        manifest.refused, manifest.stages,
    )  # fmt: skip
    if CHECKS_FILE in manifest.digests:
        beside[RECORDED_CHECKS] = str(place.resolve() / CHECKS_FILE)
    register_lazily(manifest.name, Registration(package=manifest.package, load=load, beside=beside))
    return manifest.name


def check_other_files(place: Path) -> tuple[int, int]:
    """Compare the files beside the package of a compiled model, which nothing here reads again, with their digests.

    Parameters
    ----------
    place
        The package.

    Returns
    -------
    tuple of int
        How many are as they were written, and how many are not there, as where the package was moved alone.

    Raises
    ------
    FolderError, DigestError
        If the manifest is damaged, or a file was changed.
    """
    digests = _read_manifest(place / MANIFEST_FILE).other_digests
    there = {path: digest for path, digest in digests.items() if (place.parent / path).exists()}
    for path, digest in there.items():
        read_checked(place.parent / path, digest)
    return len(there), len(digests) - len(there)


def refuse_other_models(folder: Path, package: str) -> None:
    """Refuse to compile a model into a folder that holds another one: their pages and data would be mixed.

    Raises
    ------
    FolderError
        If there is a package of another name in it.
    """
    try:
        found = {path.parent.name for name in (MANIFEST_FILE, GRAPH_FILE) for path in folder.glob(f"*/{name}")}
    except OSError as error:
        raise FolderError("the folder cannot be read", place=str(folder), found=describe_failure(error)) from None
    others = sorted(found - {package})
    if others:
        raise FolderError(
            "the folder holds another model", place=str(folder), expected=f"{package} or no model",
            found=", ".join(others), remedy="name another folder with --out, or remove what it holds",
        )  # fmt: skip


def _find_package(folder: Path) -> Path:
    if (folder / MANIFEST_FILE).is_file():
        return folder
    try:
        found = sorted(path.parent for path in folder.glob(f"*/{MANIFEST_FILE}"))
    except OSError as error:
        raise FolderError("the folder cannot be read", place=str(folder), found=describe_failure(error)) from None
    if len(found) > 1:
        raise FolderError(
            "the folder holds several compiled models", place=str(folder),
            found=", ".join(path.name for path in found), remedy="name the folder of one of them",
        )  # fmt: skip
    if not found:
        raise FolderError(
            "the folder holds no compiled model", place=str(folder),
            remedy="run modelmeter compile SOURCE --out there first",
        )  # fmt: skip
    return found[0]


def _read_manifest(path: Path) -> Manifest:
    try:
        fields = parse_object(read_text(path))
    except (OSError, ValueError) as error:
        raise FolderError("the manifest cannot be read", place=str(path), found=describe_failure(error)) from None
    if fields.get("format_version") != FORMAT:
        raise FolderError(
            "another version wrote this compiled model", place=str(path), expected=f"format {FORMAT}",
            found=fields.get("format_version"), remedy="compile the model again",
        )  # fmt: skip
    try:
        manifest = make_converter().structure(fields, Manifest)
        manifest.check()
        make_serving(manifest.stages, manifest.workload)
    except ClassValidationError as error:
        raise FolderError("the manifest is damaged", place=str(path), found="; ".join(transform_error(error))) from None
    except (ValueError, KeyError) as error:
        raise FolderError("the manifest is damaged", place=str(path), found=str(error)) from None
    return manifest


def _load_model(place: Path, manifest: Manifest) -> Model:
    """Return the record of the model, from what its formulas are made of."""
    from modelmeter.frontend.archive import read_traced
    from modelmeter.frontend.definition import define_model
    from modelmeter.graph.module_graph import ModuleGraph

    texts: dict[str, Any] = {
        file: read_checked(place / file, manifest.digests[file]).decode() for file in (GRAPH_FILE, TRACED_FILE)
    }
    model = define_model(read_traced(texts[TRACED_FILE], ModuleGraph.from_json(texts[GRAPH_FILE])))
    if (model.name, model.package) != (manifest.name, manifest.package):
        raise FolderError(
            "the manifest is of another model", place=str(place), expected=model.name, found=manifest.name,
            remedy="compile the model again",
        )  # fmt: skip
    return model
