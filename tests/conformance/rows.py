"""What the wire consists of: the numbered lines, the rows of the tables, and which test covers which.

A test says what it shows by `@pytest.mark.covers("W05", "frame 7 retry server", …)`. The rows are
read from the tables of docs/protocol.md, so that a row that is added there wants a test; those of the
original may not vanish from there either. The tests' source is read, not what is collected: a run of
one test knows as well what the others cover.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parent
PROTOCOL = TESTS.parents[1] / "docs/protocol.md"

LINES = {
    "W01": "ZMTP 3.x, NULL; who listens is a ROUTER, who connects a DEALER without an identity",
    "W02": "Ports 3737 and 3738; every frame is UTF-8 text",
    "W03": "One DEALER to the one server, which calls agents back over it; an agent's own ROUTER",
    "W04": "Hello at every connection; another uuid in its answer makes a client do all again",
    "W05": "A request id is unique within its sender; one in flight is not executed twice",
    "W06": "Retry with 1 to an unknown identity; retry to who is over its limit",
    "W07": "Ping, pong; askHello to an unknown identity",
    "W08": "Silence for the client's aliveTimeout, and close, end a client and its references",
    "W09": "undefined is null; optional members are missing or null alike",
    "W10": "ContainerRecord",
    "W11": "NetworkEvent, batched and merged",
    "W12": "Endpoints: routed, direct, no connection",
    "W13": "get with a uuid: the one that lives, the one that starts, a new one",
    "W14": "get without a uuid: joins by kind and labels",
    "W15": "Agents in turn; none: No suitable agents found for container",
    "W16": "References; unreferenced, a container ends after 5 s",
    "W17": "Registration: what is missing goes, the first agent wins, an endpoint moves",
    "W18": "A dead agent's containers",
    "W19": "Stateless containers and their standbys",
    "W20": "Limits of the original that ours does not have",
    "W21": "A client acts only on a new uuid, all at once, with its original gets",
    "W22": "A client acts on no missing pong and has no time-out",
    "W23": "Ids of calls back count from 0 after a restart",
    "W24": "A registration has neither labels nor extra; it is repeated at every change",
    "W25": "Clients use added of agents, updated and removed of containers",
    "W26": "removed of a stateless uuid makes standbys register again",
    "W27": "cc is said once, never repeated",
    "W28": "A container's requests interleave, in the order received",
    "W29": "Ticks of half a second; lastVisit in ms, aliveTimeout in s",
    "W30": "An agent may answer with another container than asked",
}
"""The facts about the original peers by their number, each in short."""

ACTED = {f"W{number}" for number in range(20, 31)}
"""How the original peers behave: acted out by ours in Python, so no test need show it."""

NOT_ABOUT_THE_WIRE = {
    "test_bench.py": "a program that loads a network",
    "test_command_line.py": "what a command line prints, and how it exits",
    "test_metrics.py": "metrics, health and flags",
    "test_rows.py": "the tests themselves",
    "test_hostile.py::test_still_the_same_processes": "that processes live, and their counters",
    "test_transcripts.py::test_the_rules_for_plain_peers_fit_the_original": "our rules alone",
    "test_transcripts.py::test_the_rules_for_those_who_connect_fit_the_original": "our rules alone",
}
"""Files, and single tests, that need not cite anything, each with the reason."""

ORIGINAL = {
    "frame 0 hello client",
    "frame 0 hello server",
    "frame 1 request client",
    "frame 1 request server",
    "frame 2 response client",
    "frame 2 response server",
    "frame 3 responseError client",
    "frame 3 responseError server",
    "frame 4 event server",
    "frame 4 event agent's ROUTER",
    "frame 4 event container's ROUTER",
    "frame 5 ping client",
    "frame 6 pong server",
    "frame 7 retry server",
    "frame 8 close client",
    "frame 9 askHello server",
    "method ar client → server",
    "method au client → server",
    "method al client → server",
    "method ak client → server",
    "method cl client → server",
    "method gg client → server",
    "method cr client → server",
    "method cs client → server",
    "method cu agent's client → server",
    "method gg server → agent's client",
    "method cl server → agent's client",
    "method cs server → agent's client",
    "method ct server → agent's client",
    "method cc client → agent's ROUTER",
    "method cd client → agent's ROUTER",
    "method cs client → agent's ROUTER",
    "method OPERATION client → container's ROUTER",
}
"""The rows of the original's tables, told apart by direction."""


def documented() -> list[str]:
    """The rows of the protocol's tables: `frame OP NAME FROM` and `method NAME FROM → TO`."""
    rows, table = [], ""
    for line in PROTOCOL.read_text().splitlines():
        # A bar within a cell is of no column that is read here.
        cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            table = ""
        elif not table:
            table = {"op": "frame", "method": "method"}.get(cells[0], "of something else")
        elif re.fullmatch("[-:]+", cells[0]):
            continue
        elif table == "frame":
            rows.append(f"frame {' '.join(cells[:3])}")
        elif table == "method":
            rows.append(f"method {' '.join(cells[:2])}")
    return rows


@dataclass(frozen=True)
class Test:
    """A test of this folder, as its source says it."""

    file: str
    name: str
    cites: tuple[str, ...]
    """The lines and rows that it says to cover."""
    says: str
    """Its docstring."""
    counts: bool
    """Whether it shows what it cites: not while it is skipped or known to fail."""

    @property
    def full_name(self) -> str:
        return f"{self.file}::{self.name}"

    @property
    def unmarked_lines(self) -> list[str]:
        """The lines that its docstring names, one by one or as a range, and it does not cite."""
        named: set[str] = set()
        for first, last in re.findall(r"\bW(\d\d)(?:[–-]W?(\d\d))?\b", self.says):
            named |= {f"W{number:02}" for number in range(int(first), int(last or first) + 1)}
        return sorted(named - set(self.cites))


def tests() -> list[Test]:
    """The tests of this folder."""
    return [
        test
        for file in sorted(TESTS.glob("test_*.py"))
        for test in tests_of(ast.parse(file.read_text()), file.name)
    ]


def cited(among: list[Test] | None = None) -> dict[str, list[str]]:
    """What tests cover, those of this folder unless told, with the names of those tests."""
    covering = defaultdict(list)
    for test in tests() if among is None else among:
        for identifier in test.cites if test.counts else ():
            covering[identifier].append(test.full_name)
    return covering


def without_marks() -> list[str]:
    """The tests that cite nothing and are not among those that need not."""
    return [
        test.full_name
        for test in tests()
        if not test.cites and not {test.file, test.full_name} & NOT_ABOUT_THE_WIRE.keys()
    ]


def needless() -> list[str]:
    """What is said to need no citation, and is not there or has one."""
    without = [test for test in tests() if not test.cites]
    there = {test.file for test in without} | {test.full_name for test in without}
    return sorted(NOT_ABOUT_THE_WIRE.keys() - there)


def known() -> set[str]:
    return LINES.keys() | set(documented())


def uncovered() -> list[str]:
    """The rows and lines that want a test and have none."""
    wanted = [*sorted(LINES.keys() - ACTED), *documented()]
    covering = cited()
    return [identifier for identifier in wanted if identifier not in covering]


def table() -> str:
    """All lines and rows with the tests that cover them."""
    covering = cited()
    lines = []
    for identifier in [*LINES, *documented()]:
        lines.append(f"{identifier}  {LINES.get(identifier, '')}".rstrip())
        lines += [f"    {test}" for test in covering.get(identifier, [])]
    return "\n".join(lines)


def tests_of(module: ast.Module, file: str) -> Iterator[Test]:
    """The tests of a module, each with what it cites."""
    seen = set()
    for test in module.body:
        if not isinstance(test, ast.FunctionDef) or not test.name.startswith("test_"):
            continue
        cites: list[str] = []
        for decorator in filter(_is_covers, test.decorator_list):
            seen.add(decorator)
            for argument in decorator.args:
                assert isinstance(argument, ast.Constant), f"{file}: {ast.unparse(decorator)}"
                cites.append(argument.value)
        counts = not any(map(_is_left_out, test.decorator_list))
        yield Test(file, test.name, tuple(cites), ast.get_docstring(test) or "", counts)
    for node in ast.walk(module):
        assert not _is_covers(node) or node in seen, (
            f"{file}:{node.lineno}: a citation is a decorator of a test"
        )


def _is_covers(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.covers"


def _is_left_out(decorator: ast.expr) -> bool:
    mark = decorator.func if isinstance(decorator, ast.Call) else decorator
    left_out = {f"pytest.mark.{name}" for name in ("xfail", "skip", "skipif")}
    return ast.unparse(mark) in left_out
