"""Values that programs stumble over: numbers, texts, names of files."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from attrs import frozen


@frozen
class Raw:
    """Text that stands in a document as it is, such as a number that no writer writes."""

    text: str


NUMBERS: Final[tuple[Any, ...]] = (
    0, -1, 1, 2, 3, 7, 15, 16, 17, 255, 2**31 - 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63), 10**19,
    10**99, 10**400, Raw("1" + 5000 * "0"), Raw("1e400"), Raw("-1e400"), 0.0, -0.0, 0.5, 1.0, 1e-320, 1e-300, 1e300,
    1.5, 3.0, float("nan"), float("inf"), float("-inf"), Raw("1_000"), Raw("010"), Raw("0x10"), Raw("1."), Raw(".5"),
    Raw("+5"), Raw("1e3"), Raw("--1"),
)  # fmt: skip

SIZES: Final = (
    "0", "1", "-1", "+1", "2", "3", "7", "15", "16", "17", "640", "1024", "913", "1e3", "1k", "1.5", "nan", "inf", "",
    " ", " 1", "1 ", "1_0", "1__0", "_1", "0x10", "010", "\u0663", "\u00b2", "1\n", "true", "None", "fp8", "=", "1=2",
    "9223372036854775807", "9223372036854775808", "1" + "0" * 18, "1" + "0" * 40, "1" + "0" * 98, "1" + "0" * 400,
    "1" + "0" * 5000, "-" + "9" * 99, "[1]", "1,2", "1:2", "1;2", "$(id)", "__import__('os')", "10**100",
)  # fmt: skip
"""What someone may write for a size."""

TEXTS: Final = (
    "", " ", "x", "a b", " x ", "-", "--", "-x", "--help", "--version", "--json", ".", "..", "/", "~", "*", "?", "%s",
    "%n", "{}", "{0}", "{{x}}", "{% x %}", "$HOME", "`id`", "null", "true", "no", "1e5", "010", "1:30",
    "\u00fc\u00df\u4e16", "\U0001f600", "e\u0301", "\u202eevil\u202c", "\u2066x\u2069", "\u200b", "\ufeff", "\u00ad",
    "\u00a0", "\u2028", "\x85", "\t", "a\nb", "a\r\nb", "\r", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x00",
    "a\x00b", "\x7f", "\x08", "\x9b2J", "[bold red]x[/bold red]", "[/]", "[/x]", "[link=file:///etc/passwd]x[/link]",
    ":smile:", "\\", "\\[x]", "a|b", "|", "<script>alert(1)</script>", "<!-- x", "&lt;b&gt;", "&amp;", "![x](y)",
    "[x](javascript:y)", "**x**", "__x__", "_x_", "# x", "- x", "+ x", "1. x", "> x", "---", "===", "    x", "```",
    "~~~", "~~x~~", "<http://x>", "a<b", "http://x.y", "\\input{/etc/passwd}", "$x$", "\\end{document}", "%",
    "\\write18{id}", "^^M", "x" * 300, "x" * 5_000, "\u4e16" * 3_000, "<<", "&a", "*a",
    "!!python/object/apply:os.system [id]", "a: b", "a #b", "'", '"', "'''", "con", "nul",
)  # fmt: skip
"""Texts with markup of terminals, Markdown, HTML, TeX, YAML and shells, with steering characters, and long ones."""

HALF_CHARACTERS: Final = ("\udcff", "a\udc80b", "\udce4")
"""What Python makes of bytes in an argument that are not UTF-8."""

JSON_HALVES: Final = ("\ud800", "x\udfffy")
"""What JSON can hold in escapes, and no file."""

RUN_IDS: Final = (
    "run-1", "run-2", "run 3", "new", "..", ".", "...", "a..b", "../x", "..\\x", "/abs", "a/b", "a\\b", "c:", "C:x",
    "~", "-x", "--out", "", " ", "x ", ".hidden", "x" * 200, "x" * 201, "\u4e16" * 67, "../../../../elsewhere/tmp",
    "%2e%2e%2f", "..%c0%af", "con", "run-1/.", "./run-1", "run-1\x00", "run-1\n", "\u2024\u2024",
    "\uff0e\uff0e\uff0fx", "e\u0301", "[b]x[/b]",
)  # fmt: skip


class Draw(Random):
    """Draws what a case is made of; the same for the same seed and index, on every machine."""

    def chance(self, share: float) -> bool:
        """Return true in this share of all calls."""
        return self.random() < share

    def text(self) -> str:
        """Return a text that an argument can have."""
        pool = (TEXTS, HALF_CHARACTERS) if self.chance(0.05) else (TEXTS,)
        return self.choice(self.choice(pool))

    def scribble(self, text: str) -> str:
        """Return a text with one small change."""
        place = self.randrange(len(text) + 1)
        change = self.randrange(5)
        if change == 0:
            return text[:place]
        if change == 1:
            return text[:place] + self.text() + text[place:]
        if change == 2:
            return text[:place] + text[place + 1 :]
        if change == 3:
            return text.swapcase()
        return text + self.text()

    def scalar(self) -> Any:
        """Return a value of any type that is no container."""
        kind = self.randrange(5)
        if kind == 0:
            return self.choice((None, True, False))
        if kind < 3:
            return self.choice(NUMBERS)
        return self.choice(TEXTS + JSON_HALVES)

    def value(self) -> Any:
        """Return a value of any type."""
        kind = self.randrange(10)
        if kind > 2:
            return self.scalar()
        if kind == 0:
            return self.choice(([], {}, [[]], [{}], {"": {}}, [None], {"a": 1}))
        inner = [self.scalar() for _ in range(self.randrange(1, 4))]
        return inner if kind == 1 else {self.choice(TEXTS): value for value in inner}
