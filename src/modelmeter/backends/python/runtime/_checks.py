"""The checks of sizes as text: what each size and each pair of them has to be stands once, in ``_limits``.

A function that calls ``check`` or ``compute`` has these checks written into its text before it runs.
"""

from ._limits import ARCHITECTURE, DERIVED, INTERMEDIATES, MINIMA, RULES, SOURCES
from ._runtime import Cost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    Rule = tuple[str | int, str, str]

ROUTING = "expert_routing"
_START = "    if (found := check("
_END = "        return found\n"
COMPUTE = "    return compute("
"""How a function ends whose steps stand elsewhere."""

MAKE_COST = "make_cost(locals())"
"""How such a function returns its metrics: by name, where they are not written out."""


def expand_checks(text: str, defaults: "Mapping[str, object]") -> str:
    """Return the text of a function with its checks written out; ``defaults`` are those of its arguments."""
    body, compute, call = text.partition(COMPUTE)
    if compute:
        name, _, _, *rest = call.removesuffix(")").split(", ")
        constants = {} if "{}" in rest else ARCHITECTURE
        cancelled = [f"    {size.replace('=', ' = ')}\n" for size in rest if size != "{}"]
        checks = [write_checks(name, defaults, constants), *cancelled, write_late_checks(defaults, constants)]
        return "".join([body, *checks, compute, call])
    start = text.find(_START)
    if start < 0:
        return text
    text = text.replace(MAKE_COST, f"Cost(({', '.join(Cost._fields)}))")
    end = text.index(_END, start) + len(_END)
    name = text[start + len(_START) : text.index(",", start)]
    constants = {} if ", {})" in text[start:end] else ARCHITECTURE
    return f"{text[:start]}{write_checks(name, defaults, constants)}{text[end:]}"


def write_checks(function: str, defaults: "Mapping[str, object]", constants: "Mapping[str, int]") -> str:
    """Return the lines that check the arguments of a function; sizes that follow from others are checked later.

    Parameters
    ----------
    defaults
        Of all arguments.
    constants
        The sizes of the architecture that are numbers in the function.
    """
    open_sizes = {name for name, default in defaults.items() if default is None}
    late = open_sizes - SOURCES
    sizes = {name: MINIMA.get(name, 1) for name in defaults if name != ROUTING}
    plain = {name: minimum for name, minimum in sizes.items() if name not in open_sizes}
    sources = {name: minimum for name, minimum in sizes.items() if name in open_sizes - late}
    lines = []
    if plain or sources:
        minima = list_minima({name: least for name, least in sizes.items() if name not in late}, sources)
        conditions = " and ".join(write_conditions(plain, sources))
        call = f"check_again({', '.join([function, 'locals()', *minima])})"
        lines += [f"    if not ({conditions}) and (found := {call}) is not None:", "        return found"]
    if ROUTING in defaults:
        lines += [f'    if {ROUTING} != "uniform":', f"        check_routing({ROUTING})"]
    names = {*sizes} - late
    for a, relation, b in list_rules(RULES, names, late, constants):
        lines += write_rule(a, relation, b, names, constants)
    return "".join(f"{line}\n" for line in lines)


def write_late_checks(defaults: "Mapping[str, object]", constants: "Mapping[str, int]") -> str:
    """Return the lines that fill in what follows from other sizes, and check what depends on it.

    ``INTERMEDIATES`` that they speak of have to be there.
    """
    late = [name for name, default in defaults.items() if default is None and name not in SOURCES]
    lines = []
    for name in late:
        lines += write_derivation(name, *DERIVED[name], MINIMA.get(name, 1))
    names = {*defaults} - {ROUTING}
    for a, relation, b in list_late_rules(RULES, names, {*late, *list_intermediates(INTERMEDIATES, names)}, constants):
        lines += write_rule(a, relation, b, names, constants)
    return "".join(f"{line}\n" for line in lines)


def write_derivation(name: str, formula: str, source: str, default: int, minimum: int) -> list[str]:
    """Return what fills in a size that is not given, or else compares it with what it would follow from.

    Parameters
    ----------
    formula
        What it is where it is not given.
    source, default
        The size in it that is there for nothing else, with its default; the source is empty where there is none.
    """
    check = [
        f"    if not (type({name}) is int and {write_range(name, minimum)}):",
        f'        {name} = check_size("{name}", {name}, {minimum})',
    ]
    if not source:
        return [f"    if {name} is None:", f"        {name} = {formula}", f"    el{check[0].lstrip()}", check[1]]
    return [
        f"    if {name} is None:",
        f"        if {source} is None:",
        f"            {source} = {default}",
        f"        {name} = {formula}",
        "    else:",
        *(f"    {line}" for line in check),
        f"        if {source} is not None and {name} != {formula}:",
        f'            raise contradiction("{name}", {name}, "{formula}", {formula})',
    ]


def list_minima(sizes: "Mapping[str, int]", sources: "Collection[str]") -> list[str]:
    """Return the smallest values that a call names: of sizes that may be left out, and where it is not 1.

    Parameters
    ----------
    sizes
        The smallest value of each size, in order.
    sources
        Those that may be None, since another one can be given instead.
    """
    return [f"{name}={least}" for name, least in sizes.items() if name in sources or least != 1]


def write_conditions(plain: "Mapping[str, int]", sources: "Mapping[str, int]") -> list[str]:
    """Return what holds where sizes are plain integers in range, by their smallest values.

    Parameters
    ----------
    sources
        Sizes that may be None, since another one can be given instead.
    """
    kinds = " is ".join(f"type({name})" for name in plain)
    return [
        *([f"int is {kinds}"] if plain else []),
        *(write_range(name, minimum) for name, minimum in plain.items()),
        *(
            f"({name} is None or (type({name}) is int and {write_range(name, minimum)}))"
            for name, minimum in sources.items()
        ),
    ]


def write_range(name: str, minimum: int) -> str:
    """Return what holds for an integer that is at least its smallest value."""
    return f"{name} > {minimum - 1}" if minimum else f"{name} >= 0"


def list_rules(
    rules: "Iterable[Rule]", names: "Iterable[str]", late: "Iterable[str]", constants: "Mapping[str, int]"
) -> "list[Rule]":
    """Return the rules between sizes that are given, of which at least one is no constant."""
    given, known = set(names), {*names, *constants} - {*late}
    return [
        (a, relation, b)
        for a, relation, b in rules
        if (isinstance(a, int) or a in known) and b in known and (a in given or b in given)
    ]


def list_intermediates(intermediates: "Mapping[str, tuple[str, ...]]", names: "Collection[str]") -> list[str]:
    """Return what is no size of a caller, but made of sizes with these names."""
    return [name for name, sizes in intermediates.items() if {*sizes} <= {*names}]


def list_late_rules(
    rules: "Iterable[Rule]", names: "Iterable[str]", late: "Collection[str]", constants: "Mapping[str, int]"
) -> "list[Rule]":
    """Return the rules of sizes that follow from others, and of what is no size of a caller."""
    known = {*names, *late, *constants}
    return [
        (a, relation, b)
        for a, relation, b in rules
        if (isinstance(a, int) or a in known) and b in known and (a in late or b in late)
    ]


def write_rule(
    a: "str | int", relation: str, b: str, names: "Collection[str | int]", constants: "Mapping[str, int]"
) -> list[str]:
    """Return the check of a rule between two sizes; ``names`` are those that are arguments."""
    first, second = (str(constants.get(size, size)) if isinstance(size, str) else str(size) for size in (a, b))
    if relation == "zero_together":
        return [
            f"    if ({first} == 0) != ({second} == 0):",
            f'        raise not_zero_together("{a}", {first}, "{b}", {second})',
        ]
    if relation != "at_most":
        divisor = first if relation == "divides" else f"(2 * {first})"
        name = a if relation == "divides" else f"2 * {a}"
        return [
            f"    if {second} % {divisor}:",
            f'        raise no_multiple("{b}", {second}, "{name}", {divisor.strip("()")})',
        ]
    if a in names:
        return [f"    if {first} > {second}:", f'        raise too_large("{a}", {first}, "{b}", {second})']
    return [f"    if {second} < {first}:", f'        raise too_small("{b}", {second}, "{a}", {first})']
