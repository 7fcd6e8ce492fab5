"""The models that are installed: entry points, so that a model can live in another distribution."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from modelmeter.support.errors import ModelMeterError
from modelmeter.support.suggestions import UnknownNameError, unknown_name

if TYPE_CHECKING:  # it needs sympy, which a list of names does without
    from importlib.metadata import EntryPoint

    from modelmeter.model.definition import Model

GROUP: Final = "modelmeter.models"
"""Of the entry points: each has the name of a model, and its :class:`~modelmeter.model.definition.Model`."""

DEFAULT: Final = "deepseek-ocr"
"""The model of a command that names none."""


class RegistryError(ModelMeterError):
    """What is registered as a model is none, or two distributions register one name."""


@frozen(kw_only=True)
class Registration:
    """A model that no distribution registers.

    Parameters
    ----------
    package
        The import name of its evaluators.
    load
        Returns its record; it may take sympy.
    beside
        By name, what modules beside that of a model have: ``SERVING``, ``PAGE_VIEWS``.
    """

    package: str
    load: Callable[[], Model]
    beside: Mapping[str, Any] = field(factory=dict)


_DEFINED: dict[str, Registration] = {}
"""Models that no distribution registers: those that this process has compiled, or opened the folder of."""


def list_models() -> tuple[str, ...]:
    """Return the names of the registered models."""
    return tuple(sorted({*_find_entries(), *_DEFINED}))


def register_model(model: Model, beside: Mapping[str, Any] | None = None) -> None:
    """Register a model for this process; one of the same name that it has registered before is replaced.

    Parameters
    ----------
    model
        Its record.
    beside
        What modules beside it would have, as of a :class:`Registration`.

    Raises
    ------
    RegistryError
        If an installed distribution has a model of this name.
    """
    register_lazily(model.name, Registration(package=model.package, load=lambda: model, beside=beside or {}))


def register_lazily(name: str, registration: Registration) -> None:
    """Register a model for this process whose record is made when it is asked for; as :func:`register_model`.

    Raises
    ------
    RegistryError
        If an installed distribution has a model of this name.
    """
    if name in _find_entries():
        raise RegistryError("an installed model has this name", place=name, remedy="give the model another name")
    _DEFINED[name] = registration
    find_model.cache_clear()


@cache
def find_model(name: str = DEFAULT) -> Model:
    """Return a registered model.

    Raises
    ------
    UnknownNameError
        If there is none of this name; the message has the nearest ones.
    RegistryError
        If what is registered cannot be imported or is no model.
    """
    from modelmeter.model.definition import Model

    if name in _DEFINED:
        return _DEFINED[name].load()
    entries = _find_entries()
    if name not in entries:
        raise _unknown_model(name)
    try:
        found = entries[name].load()
    except (ImportError, AttributeError) as error:
        raise RegistryError(
            "a registered model cannot be loaded", place=name, found=str(error),
            remedy=f"repair or remove the distribution that registers {entries[name].value}",
        ) from error  # fmt: skip
    if not isinstance(found, Model) or found.name != name:
        raise RegistryError(
            "what is registered is not this model", place=name, expected=f"a Model of the name {name}", found=found
        )
    return found


def forget_model(name: str) -> None:
    """Forget a model that this process has registered, if it has."""
    if _DEFINED.pop(name, None) is not None:
        find_model.cache_clear()


def find_beside(model: str, module: str, attribute: str) -> Any:
    """Return what a module beside that of a registered model has, without importing the model, which takes sympy.

    Parameters
    ----------
    model
        The name of a registered model.
    module, attribute
        The name of a module in the package of the one that has the model's record, and of something in it.

    Returns
    -------
    object
        None if there is no such module.

    Raises
    ------
    UnknownNameError
        If no model of this name is registered.
    RegistryError
        If the module cannot be imported, or has no such attribute.
    """
    if model in _DEFINED:
        return _DEFINED[model].beside.get(attribute)
    entries = _find_entries()
    if model not in entries:
        raise _unknown_model(model)
    package = entries[model].module.rpartition(".")[0]
    name = f"{package}.{module}"
    if not package or find_spec(name) is None:
        return None
    try:
        return getattr(import_module(name), attribute)
    except (ImportError, AttributeError) as error:
        raise RegistryError(
            "a module of a registered model cannot be loaded", place=name, expected=attribute, found=str(error),
            remedy=f"repair or remove the distribution that registers {entries[model].value}",
        ) from error  # fmt: skip


def find_package(name: str = DEFAULT) -> str:
    """Return the import name of the evaluators of a registered model.

    A model that has it in a module ``package`` beside its own, as ``PACKAGE``, need not be imported for it.

    Raises
    ------
    UnknownNameError
        If there is no model of this name.
    RegistryError
        If what is registered cannot be imported or is no model.
    """
    if name in _DEFINED:
        return _DEFINED[name].package
    found = find_beside(name, "package", "PACKAGE")
    return found if isinstance(found, str) else find_model(name).package


def _unknown_model(name: str) -> UnknownNameError:
    error = unknown_name("model", name, list_models())
    compile_first = "any other is compiled first, modelmeter compile SOURCE --out DIR, and its folder DIR is its name"
    return UnknownNameError(error.problem, found=name, remedy=f"{error.remedy}; {compile_first}")


def _find_entries() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # it takes as long as a short command

    entries: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        if entries.setdefault(entry.name, entry).value != entry.value:
            raise RegistryError(
                "two models have one name", place=entry.name, found=[entries[entry.name].value, entry.value],
                remedy="remove one of the distributions",
            )  # fmt: skip
    return entries
