"""The text of functions as statements: what each assigns, and the names in it."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_BETWEEN = [sign for sign in map(chr, range(128)) if not (sign.isalnum() or sign == "_")]
_SPACES = str.maketrans(dict.fromkeys(_BETWEEN, " "))
_LINES = str.maketrans({sign: f"\n{sign}\n" for sign in _BETWEEN})
"""What is between the names in our own text becomes a space, or a line of its own."""


def read_step(statement: str) -> tuple[str, str, str]:
    """Return what a statement assigns, and to which name; a check has none."""
    target, equals, value = statement.strip().partition(" = ")
    if equals and target.isidentifier():
        return target, " ".join(value.split()), statement
    return "", statement, statement


def split_statements(body: str) -> list[str]:
    """Return the statements of a function, each with all of its lines; the docstring is the first."""
    statements: list[str] = []
    for line in body.rstrip().splitlines(keepends=True):
        is_start = line[:4] == "    " and line[4] not in " )" and line[4:8] not in ("elif", "else")
        in_docstring = len(statements) == 1 and statements[0].count('"""') == 1
        if is_start and not in_docstring:
            statements.append(line)
        elif statements:
            statements[-1] += line
    return statements


def words_of(text: str) -> set[str]:
    """Return the names and numbers in a text."""
    return set(split_words(text))


def split_words(text: str) -> list[str]:
    return text.translate(_SPACES).split()


def rename(text: str, names: "Mapping[str, str]") -> str:
    """Return text with other names in it."""
    if not names.keys() & words_of(text):
        return text
    return "".join(names.get(word, word) for word in text.translate(_LINES).split("\n"))


def keep_needed(steps: "Sequence[tuple[str, str, str]]", returned: str) -> "Iterable[str]":
    """Yield the checks, and the steps that they and the result need; one that is needed once is put in its place."""
    uses = dict.fromkeys(words_of(returned), 2)  # the result stays as it is
    needed = []
    for step in reversed(steps):
        target, value, _ = step
        if not target or target in uses:
            for word in split_words(value):
                uses[word] = uses.get(word, 0) + 1
            needed.append(step)
    places: dict[str, str] = {}
    for target, value, statement in reversed(needed):
        put_in = rename(value, places)
        if target[1:].isdecimal() and uses[target] == 1:
            places[target] = f"({put_in})"
        elif put_in == value:
            yield statement
        else:
            yield f"    {target} = {put_in}\n" if target else put_in
