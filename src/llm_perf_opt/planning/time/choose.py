"""Which calibration a card gets: by its memory class where an engine is named, else the one that is asked for."""

from __future__ import annotations

from functools import cache
from typing import Final, get_args

from llm_perf_opt.data import HardwareSpec
from llm_perf_opt.errors import RecordError
from llm_perf_opt.library import find_record, list_shipped
from llm_perf_opt.planning.time.records import Calibration, Engine

ENGINES: Final[tuple[Engine, ...]] = get_args(Engine)
"""The words that choose a calibration by the card."""

_PACKAGE: Final = "llm_perf_opt.planning.calibrations"


def list_calibrations() -> tuple[str, ...]:
    """Return the names of the shipped calibrations."""
    return list_shipped(_PACKAGE)


def load_calibration(name_or_path: str) -> Calibration:
    """Return a calibration by its name, or from a YAML or JSON file.

    Raises
    ------
    UnknownNameError
        If none of this name is shipped.
    RecordError
        If the file cannot be read or holds no valid calibration.
    """
    if name_or_path in list_calibrations():
        return _load_shipped(name_or_path)
    return find_record(name_or_path, "calibration", _PACKAGE, Calibration)


@cache
def _load_shipped(name: str) -> Calibration:
    """Return a shipped calibration; it is read once, as plans of many cards choose again and again."""
    return find_record(name, "calibration", _PACKAGE, Calibration)


def choose_calibration(card: HardwareSpec, engine: str) -> Calibration:
    """Return the calibration of an engine for a card.

    Parameters
    ----------
    card
        Its memory class chooses.
    engine
        ``eager`` or ``graphs``; or the name or the file of a calibration, which is then taken for any card.

    Raises
    ------
    UnknownNameError
        If there is no such engine and no calibration of this name.
    RecordError
        If no calibration is shipped for the memory class of the card, or as :func:`load_calibration`.
    """
    if engine not in ENGINES:
        return load_calibration(engine)
    shipped = [each for each in map(load_calibration, list_calibrations()) if each.engine == engine]
    fitting = [each for each in shipped if each.memory_class == card.memory_class]
    if card.memory_class is None or not fitting:
        classes = sorted({str(each.memory_class) for each in shipped})
        raise RecordError(
            "no calibration is shipped for the memory of this card", place=f"{card.hardware_id}: memory_class",
            expected=" or ".join(classes), found="none" if card.memory_class is None else card.memory_class,
            remedy=f"name one yourself, as in --engine {shipped[0].name}, or measure and run "
            "modelmeter calibrate",
        )  # fmt: skip
    return fitting[0]


def describe_choice(calibration: Calibration, card: HardwareSpec) -> str:
    """Return which calibration is used for a card, why, and how far it can be trusted: a sentence."""
    measured = f"measured on {', '.join(calibration.cards)}" if calibration.cards else "measured on no card"
    sequences = {each.name: each for each in calibration.fitted_range}.get("sequences")
    if sequences is not None and sequences.largest > sequences.smallest:
        measured += f", fitted on calls of {sequences.smallest:g} to {sequences.largest:g} sequences"
    if calibration.memory_class is None:
        why = measured
    elif calibration.memory_class == card.memory_class:
        why = f"for cards with {calibration.memory_class} as {card.name}; {measured}"
    else:
        kind = card.memory_class or "memory of no stated class"
        why = f"for cards with {calibration.memory_class}, while {card.name} has {kind}; {measured}"
    return f"calibration {calibration.name}, {why}; {describe_errors(calibration)}"


def describe_errors(calibration: Calibration) -> str:
    """Return how wrong a calibration was where it was not fitted."""
    median, worst, ratio = calibration.median_error, calibration.worst_error, calibration.largest_ratio
    if median is None or worst is None or ratio is None:
        return "no measurement tells its error"
    count = len(calibration.errors)
    what = "checked" if calibration.checked else "left out in turn"
    # 17 % too little is 1.20 times as long: the factor says one thing of both.
    return (
        f"error {100 * median:.0f} % at the median and {100 * worst:.0f} % at most over {count} measurements {what}, "
        f"a factor of {ratio:.2f} at most"
    )
