"""What functions of the generated package take: their sizes, what follows from what, and the rules between them."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import Factory, field, frozen

from modelmeter.core.size_rules import Rule
from modelmeter.core.symbols import Dimension, describe
from modelmeter.models.deepseek_ocr.model_rules import RULES

ROUTING = "expert_routing"
IMAGE_TOKENS = "image_tokens"


@frozen(kw_only=True)
class Derivation:
    """How a parameter follows from others where it is not given: as Python, and in words.

    ``source`` is a parameter that is there for nothing else. To give both is to say one thing twice: they have to
    agree.
    """

    code: str
    words: str
    source: str | None = None


@frozen(kw_only=True)
class Parameter:
    """A keyword argument that is a size.

    Parameters
    ----------
    default
        Its default value; of a derived one, the value that it has by default.
    derivation
        Where it is not given, it follows from other parameters.
    target
        The parameter that follows from this one, which has no other use. Its default counts only where neither is
        given.
    dimension
        What it is; by default what :mod:`modelmeter.core.symbols` says.
    """

    name: str
    default: int
    derivation: Derivation | None = None
    target: str | None = None
    dimension: Dimension = field(default=Factory(lambda self: describe(self.name), takes_self=True))

    @property
    def minimum(self) -> int:
        """The smallest value that has a meaning."""
        return self.dimension.minimum

    @property
    def is_optional(self) -> bool:
        """Whether it may be left open: it follows from others, or another follows from it."""
        return self.derivation is not None or self.target is not None

    @property
    def may_be_fraction(self) -> bool:
        """Whether it is a storage width: weights that are quantised in groups have 5.5 effective bits."""
        return self.dimension.kind == "storage"

    @property
    def record(self) -> str:
        """The arguments of the record of the parameter: what is not as of most sizes by name."""
        named = [
            *([f'target="{self.target}"'] if self.target else []),
            *(["may_be_fraction=True"] if self.may_be_fraction else []),
        ]
        return ", ".join([str(self.minimum), "None" if self.derivation else str(self.default), *named])

    @property
    def signature(self) -> str:
        """The parameter as Python."""
        return self._write_signature("Bits" if self.may_be_fraction else "int")

    @property
    def array_signature(self) -> str:
        """The parameter as Python where it may be an array."""
        return self._write_signature("ArrayLike | Fraction" if self.may_be_fraction else "ArrayLike")

    def _write_signature(self, kind: str) -> str:
        return f"{self.name}: {kind} | None = None" if self.is_optional else f"{self.name}: {kind} = {self.default}"

    @property
    def words(self) -> str:
        """What the parameter is, for people."""
        dimension = self.dimension
        meaning = dimension.meaning[0].upper() + dimension.meaning[1:]
        kind = ", or a fraction" if self.may_be_fraction else ""
        return f"{meaning} ({dimension.unit}, at least {dimension.minimum}{kind}).{self._default_words}"

    @property
    def _default_words(self) -> str:
        if self.target is not None:
            return f" By default {self.default}, unless ``{self.target}`` is given; both have to agree."
        return f" By default {self.derivation.words}." if self.derivation else ""


@frozen(kw_only=True)
class Signature:
    """What a function takes and what it may rely on.

    Parameters
    ----------
    parameters
        Its sizes, in the order of the documentation.
    has_routing
        Whether it also takes the routing of experts.
    constants
        Sizes that are numbers in its formulas.
    image_tokens
        Whether it works out the tokens of the images before anything that depends on them.
    """

    parameters: tuple[Parameter, ...]
    has_routing: bool
    constants: Mapping[str, int]
    image_tokens: bool = False

    def rules(self) -> list[Rule]:
        """Return the rules between the sizes of the function, of which at least one is a parameter."""
        names = {parameter.name for parameter in self.parameters} | ({IMAGE_TOKENS} if self.image_tokens else set())
        return [rule for rule in RULES if rule.names <= names | self.constants.keys() and rule.names & names]

    def operand(self, size: str | int) -> str:
        """Return a size as it stands in the code."""
        return str(self.constants.get(size, size) if isinstance(size, str) else size)
