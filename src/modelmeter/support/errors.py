"""The errors that modelmeter raises: one base class, one line per message."""

from __future__ import annotations


class ModelMeterError(Exception):
    """Base class of every error that modelmeter raises on purpose.

    Parameters
    ----------
    problem
        What is wrong, as one clause.
    place
        Where: a module path (``model.layers.3.mlp``), a file, a field.
    expected, found
        The two sides of a comparison, where there is one.
    remedy
        What the reader can do about it.
    """

    def __init__(
        self,
        problem: str,
        *,
        place: str = "",
        expected: object = None,
        found: object = None,
        remedy: str = "",
    ) -> None:
        self.problem = problem
        self.place = place
        self.expected = expected
        self.found = found
        self.remedy = remedy
        super().__init__()
        self._describe()

    def __reduce__(self) -> tuple[object, ...]:
        """Take what was found along to another process, whatever an error of its class is made of."""
        return Exception.__new__, (type(self), *self.args), vars(self)

    def name_model(self, model: str) -> None:
        """Say first which model it is of, where several are asked; nothing, if the place says so already."""
        if self.place.split(":")[0] != model:
            self.name_place(model)

    def add_remedy(self, remedy: str) -> None:
        """Say what else the reader can do."""
        self.remedy = f"{self.remedy}; {remedy}" if self.remedy else remedy
        self._describe()

    def name_place(self, place: str) -> None:
        """Say first where it is, as the row of a file."""
        self.place = f"{place}: {self.place}" if self.place else place
        self._describe()

    def _describe(self) -> None:
        self.args = (
            describe_problem(
                self.problem, place=self.place, expected=self.expected, found=self.found, remedy=self.remedy
            ),
        )


class ArchitectureError(ModelMeterError):
    """A model configuration is missing, damaged, contradictory or not one that the layers describe."""


class WorkloadError(ModelMeterError):
    """A workload size is not a positive integer, or the sizes contradict each other."""


class FormulaError(ModelMeterError):
    """A formula cannot be built, evaluated, simplified or printed exactly."""


class GraphError(ModelMeterError):
    """A module graph is damaged, or its file cannot be read."""


class TraceError(ModelMeterError):
    """The torch modules could not be traced into a module graph."""


class BindError(ModelMeterError):
    """The module graph and the layer tree disagree."""


class OutputError(ModelMeterError):
    """A generated file cannot be written, or the files on disk are not the generated ones."""


class EvidenceError(ModelMeterError):
    """A record of how formulas were checked is damaged, or lacks a check."""


class QuestionError(ModelMeterError):
    """A question is not written in the language of questions."""


class CertificateError(ModelMeterError):
    """A certificate is damaged, proves something else, or belongs to another formula."""


class CountError(ModelMeterError):
    """An independent count met an operator that nothing accounts for."""


class UnpricedOperatorError(CountError):
    """An operator has no price in the table, so that what runs it has no cost.

    Parameters
    ----------
    problem
        What is wrong, as one clause.
    path
        The module whose forward calls it.
    operator
        Its ATen name.
    """

    def __init__(self, problem: str, *, path: str, operator: str) -> None:
        self.path, self.operator = path, operator
        super().__init__(
            problem, place=path or "the model", found=f"aten.{operator}",
            remedy="add it to modelmeter.metrics.operator_table",
        )  # fmt: skip


def describe_problem(
    problem: str, *, place: str = "", expected: object = None, found: object = None, remedy: str = ""
) -> str:
    """Return a problem as one line; the parts are those of :class:`ModelMeterError`."""
    parts = [f"{place}: {problem}" if place else problem]
    if expected is not None:
        parts.append(f"expected {_clip(expected)}")
    if found is not None:
        parts.append(f"found {_clip(found)}")
    if remedy:
        parts.append(remedy)
    # One line whatever the parts hold: a file name or a value from outside may carry line breaks.
    line = " ".join("; ".join(parts).split())
    return "".join(_escape(character) for character in line)


def _clip(value: object, limit: int = 200) -> str:
    """Return ``value`` as text, shortened so that a hostile value cannot flood the terminal."""
    if isinstance(value, str):
        if not value.strip():  # else the message would end before it
            return repr(value) if value else "nothing"
        text = value if len(value) <= limit else value[:limit] + "..."
        return repr(text) if not text.isprintable() else text
    if isinstance(value, int) and value.bit_length() > 1024:
        # Python refuses to print integers of more than a few thousand digits.
        return f"an integer of {value.bit_length()} bits"
    try:
        text = str(value)
    except ValueError:  # such an integer inside a container
        return f"a {type(value).__name__} too long to print"
    return text if len(text) <= limit else text[:limit] + "..."


def _escape(character: str) -> str:
    """Return ``character``, written out where it would steer the terminal."""
    return character if character.isprintable() else character.encode("unicode_escape").decode()
