"""One case: what is typed, what it finds on disk, and what it may leave there."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen


@frozen(kw_only=True)
class Link:
    """A symbolic link to create."""

    target: str


@frozen(kw_only=True)
class Folder:
    """A folder to create; ``mode`` are its permissions once everything is in it."""

    mode: int = 0o755


Content = bytes | Link | Folder

_WITH_VALUE = frozenset(
    {
        "--out",
        "--config",
        "--graph",
        "--save-graph",
        "--workload",
        "--hardware",
        "--run-id",
        "--dtype",
        "--metric",
        "--layer",
        "--card",
        "--picture",
        "--name",
        "--engine",
    }
)


@frozen(kw_only=True)
class Case:
    """A run of the command line.

    Parameters
    ----------
    arguments
        What is typed after ``modelmeter``.
    files
        What is in the folder beside the stranger's files, by path below the working directory, in order.
    environment
        Variables that are set, or None where one is removed.
    earlier
        The arguments of a run before this one, which ends well: the files that it writes are not a stranger's.
    between
        What is put into the folder between the two runs, over files of the first, too.
    largest_file
        A limit in bytes for every file that is written, as on a full disk; None for no limit.
    encoding
        Of the standard output.
    fails_early
        Whether the command must end before it begins to trace or to prove.
    contradicts
        Whether what is asked contradicts itself, so that no answer is right.
    works
        Whether it may trace; else it is ended where it would begin, as that takes long.
    """

    arguments: tuple[str, ...]
    files: Mapping[str, Content] = field(factory=dict)
    environment: Mapping[str, str | None] = field(factory=dict)
    earlier: tuple[str, ...] = ()
    between: Mapping[str, Content] = field(factory=dict)
    largest_file: int | None = None
    encoding: str = "utf-8"
    fails_early: bool = False
    contradicts: bool = False
    works: bool = False

    @property
    def command(self) -> str:
        """The first argument that is no option, as far as one can tell."""
        return next((argument for argument in self.arguments if not argument.startswith("-")), "")

    @property
    def options(self) -> frozenset[str]:
        """The arguments, less those that stand where an option has its value."""
        before = ("", *self.arguments)
        return frozenset(word for word, last in zip(self.arguments, before, strict=False) if last not in _WITH_VALUE)


@frozen(kw_only=True)
class Outcome:
    """How a case ended.

    Parameters
    ----------
    code
        The exit code; None where an exception came through, a time limit was hit, or the process died.
    out, err
        What was printed.
    escaped
        The traceback of what came through, or what else ended the run.
    began_work
        Whether tracing or proving was about to begin; the run was ended there.
    seconds, grown_bytes
        How long a processor was busy with it, and by how much the process grew.
    changes
        What happened to files, by path below the working directory: ``added``, ``changed`` or ``removed``.
    written
        The content of files that were added or changed, by the same paths.
    owned
        Files of the earlier run as it wrote them: a run that ends well may replace or remove them.
    named
        The paths that the arguments and the environment name, links followed, also below the working directory.
    """

    code: int | None
    out: bytes
    err: bytes
    escaped: str = ""
    began_work: bool = False
    seconds: float = 0.0
    grown_bytes: int = 0
    changes: Mapping[str, str] = field(factory=dict)
    written: Mapping[str, bytes] = field(factory=dict)
    owned: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()
