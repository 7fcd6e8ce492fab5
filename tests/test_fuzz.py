"""A few bad inputs from the many of ``make fuzz``, and the fuzzer's own eyes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
import typer
from attrs import evolve
from tests.fuzz import judge as judging
from tests.fuzz import runner
from tests.fuzz.case import Case, Outcome
from tests.fuzz.contents import judge_content
from tests.fuzz.documents import Pairs, spoil, write_json, write_yaml
from tests.fuzz.generate import make_case
from tests.fuzz.judge import judge
from tests.fuzz.runner import can_run_apart, run_apart, run_inside
from tests.fuzz.values import Draw, Raw

from llm_perf_opt import cli
from modelmeter.support.errors import OutputError

SEED, NUM_CASES = 791, 150
ROOT = Path(__file__).parents[1]


def test_bad_input_ends_in_one_line_and_touches_nothing() -> None:
    problems = {
        f"{SEED}:{index} {case.arguments}": found
        for index in range(NUM_CASES)
        if (found := judge(case := make_case(SEED, index), run_inside(case)))
    }
    assert problems == {}


def test_a_process_of_its_own_ends_alike() -> None:
    cases = [case for index in range(20) if can_run_apart(case := make_case(SEED, index))][:3]
    for case in cases:
        inside, apart = run_inside(case), run_apart(case)
        assert judge(case, apart) == []
        assert (apart.code, apart.out, apart.changes) == (inside.code, inside.out, inside.changes)


def test_a_case_depends_on_its_seed_and_index_only() -> None:
    program = "from tests.fuzz.generate import make_case; print(ascii([make_case(5, index) for index in range(70)]))"
    apart = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT, timeout=120
    )
    assert apart.stdout == ascii([make_case(5, index) for index in range(70)]) + "\n"
    assert len({make_case(5, index).arguments for index in range(70)}) > 60
    assert make_case(5, 3) != make_case(6, 3)


def test_a_document_with_changes_is_another_one() -> None:
    document = {"a": 3, "b": [5, {"c": "x"}]}
    texts = {write_json(spoil(Draw(index), document)) for index in range(200)}
    assert write_json(document) == '{"a": 3, "b": [5, {"c": "x"}]}'
    assert len(texts) > 100
    assert write_json(Pairs((("a", 1), ("a", Raw("1e400"))))) == '{"a": 1, "a": 1e400}'
    assert write_yaml({"a": float("nan"), "b": [7]}) == '"a": .nan\n"b": [7]\n'


class TestJudge:
    """Whatever a command does wrong is seen. Here ``tree`` is replaced by one that does."""

    @pytest.fixture
    def problems(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
        def run(command: Callable[[], object], case: Case | None = None) -> list[str]:
            def main() -> None:
                command()
                sys.exit(0)

            monkeypatch.setattr(cli, "main", main)
            case = case or Case(arguments=("tree",))
            return judge(case, run_inside(case))

        return run

    def test_nothing_is_wrong(self, problems: Callable[..., list[str]]) -> None:
        assert problems(lambda: print("well")) == []

    def test_an_exception(self, problems: Callable[..., list[str]]) -> None:
        def fail() -> None:
            raise ValueError("no")

        assert problems(fail) == ["an exception came through: ValueError: no"]

    def test_a_strange_exit_code(self, problems: Callable[..., list[str]]) -> None:
        assert problems(lambda: sys.exit(3)) == ["the exit code 3 is not documented"]
        assert problems(lambda: sys.exit(1)) == ["the exit code 1 is not documented"]

    def test_a_message_that_is_none(self, problems: Callable[..., list[str]]) -> None:
        def fail(message: str) -> Callable[[], None]:
            def end() -> None:
                sys.stderr.write(message)
                sys.exit(2)

            return end

        assert problems(fail("error: no such thing\n")) == []
        assert problems(fail("Error: No such option: -x\n")) == []
        assert problems(fail("oh\n")) == ["no error message: 'oh\\n'"]
        assert problems(fail("error: a\nb\n")) == ["the message is not one line of text: 'a\\nb'"]
        assert problems(fail("error: \x1b[2J\n")) == ["the message is not one line of text: '\\x1b[2J'"]
        assert problems(fail(f"error: {'x' * 4001}\n")) == ["the message has 4,001 characters"]
        assert "a traceback is printed" in problems(fail("Traceback (most recent call last):\n"))

    def test_an_output_that_is_not_whole(self, problems: Callable[..., list[str]]) -> None:
        def fail() -> None:
            print("half")
            print("error: no", file=sys.stderr)
            sys.exit(2)

        assert problems(fail) == ["it failed, but something is on stdout"]
        assert problems(lambda: None) == ["it ended well without a word"]
        assert problems(lambda: (print("well"), print("warning: x", file=sys.stderr))) == []
        (found,) = problems(lambda: (print("well"), print("50 %", file=sys.stderr)))
        assert found == "it ended well, but something is on stderr that is no warning"
        (found,) = problems(lambda: print('{"a": 1'), Case(arguments=("tree", "--json")))
        assert found.startswith("stdout is not JSON")

    def test_files_of_others(self, problems: Callable[..., list[str]]) -> None:
        case = Case(arguments=("tree", "--out", "new"))

        def write(*paths: str, code: int = 0) -> Callable[[], None]:
            def end() -> None:
                for path in paths:
                    Path(path).parent.mkdir(exist_ok=True)
                    Path(path).write_text("half")
                print("well" if code == 0 else "error: no", file=sys.stdout if code == 0 else sys.stderr)
                sys.exit(code)

            return end

        assert problems(write("new/a.txt"), case) == []
        assert problems(write("a.txt"), case) == ["a.txt is added"]
        assert problems(write("notes.txt"), case) == ["notes.txt is changed"]
        assert problems(write("../elsewhere/precious.txt"), case) == ["../elsewhere/precious.txt is changed"]
        assert problems(lambda: (print("well"), Path("link").unlink()), case) == ["link is removed"]
        assert problems(write("new/a.txt", code=2), case) == [
            "it did not end well, but new is added", "it did not end well, but new/a.txt is added",
        ]  # fmt: skip
        assert problems(write("new/.a.txt.0123abcd.tmp"), case) == ["new/.a.txt.0123abcd.tmp is left over"]
        assert problems(write("new/a.json"), case)[0].startswith("new/a.json: not JSON")

    def test_time_and_memory(self, problems: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runner, "LONGEST_SECONDS", 0.1)
        monkeypatch.setattr(judging, "LONGEST_SECONDS", 0.05)  # clocks differ
        slow = problems(lambda: all(map(str, count())))
        assert slow[0].startswith("it took ")
        assert slow[1].endswith("TooSlowError")
        monkeypatch.setattr(runner, "LONGEST_WAIT", 0.1)
        assert [problem.rpartition(".")[2] for problem in problems(lambda: time.sleep(60))] == ["TooSlowError"]
        case, outcome = Case(arguments=("tree",)), Outcome(code=0, out=b"well\n", err=b"", grown_bytes=3 * 2**30)
        assert judge(case, outcome) == ["the process grew by 3,072 MiB"]
        monkeypatch.setattr(runner, "LARGEST_GROWTH", 2**28)
        (found,) = problems(lambda: bytes(2**29))
        assert found == "an exception came through: MemoryError"

    def test_a_table_on_stdout_is_utf8_whatever_the_terminal_writes(self) -> None:
        table = Outcome(code=0, out=b"seq_len,io_bytes\n1,27\n", err=b"")  # 22 bytes; one less are no UTF-16
        case = Case(arguments=("sweep", "prefill", "--grid", "seq_len=1", "--out", "-"), encoding="utf-16")
        assert judge(case, evolve(table, out=table.out[:-1])) == []
        (found,) = judge(case, evolve(table, out=table.out.replace(b"27", b"\xff")))
        assert found.startswith("stdout is not utf-8: ")
        (found,) = judge(evolve(case, arguments=("tree",)), evolve(table, out=table.out[:-1]))
        assert found.startswith("stdout is not utf-16: ")

    def test_what_is_noticed_too_late(self) -> None:
        case, outcome = (
            Case(arguments=("verify",), fails_early=True),
            Outcome(code=None, out=b"", err=b"", began_work=True),
        )
        assert judge(case, outcome) == ["it began to work before it noticed what is wrong"]
        assert judge(evolve(case, fails_early=False), outcome) == []

    def test_an_error_of_ours_is_none_of_these(self, problems: Callable[..., list[str]]) -> None:
        """The way that every command ends."""
        from llm_perf_opt.exit_codes import run_to_end

        app = typer.Typer()

        @app.command()
        def tree() -> None:
            raise OutputError("no room", place="a\nb")

        sys_argv = Case(arguments=())
        assert problems(lambda: run_to_end(app), sys_argv) == []


@pytest.mark.parametrize(
    ("path", "content", "problem"),
    [
        ("a.md", b"\xff", "not UTF-8"),
        ("a.md", b"half", "does not end with a line break"),
        ("a.md", b"\x1b[2J\n", "characters that steer"),
        ("a.yaml", b"{", "not YAML"),
        ("a.csv", b"a,b\n1,2", "not a table"),
        ("a.parquet", b"PAR1", "not Parquet"),
        ("summary.md", b"# A\n\n<script>\n", "markup in it that is not ours: ['html_block']"),
        ("summary.md", b"# A\n\n[x](http://y)\n", "links to ['http://y']"),
        ("summary.md", b"# A\n\n# B\n", "headings are not ours"),
    ],
)
def test_a_file_that_is_not_as_it_should_be(path: str, content: bytes, problem: str) -> None:
    (found,) = judge_content(path, content)
    assert found.startswith(f"{path}: ")
    assert problem in found
