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


def cited() -> dict[str, list[str]]:
    """What the tests of this folder say that they cover, with the names of those tests."""
    covering = defaultdict(list)
    for file in sorted(TESTS.glob("test_*.py")):
        for identifier, test in _citations(ast.parse(file.read_text()), file.name):
            covering[identifier].append(test)
    return covering


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


def _citations(module: ast.Module, file: str) -> Iterator[tuple[str, str]]:
    seen = set()
    for test in module.body:
        if not isinstance(test, ast.FunctionDef):
            continue
        for decorator in test.decorator_list:
            if not _is_covers(decorator):
                continue
            seen.add(decorator)
            for argument in decorator.args:
                assert isinstance(argument, ast.Constant), f"{file}: {ast.unparse(decorator)}"
                yield argument.value, f"{file}::{test.name}"
    for node in ast.walk(module):
        assert not _is_covers(node) or node in seen, (
            f"{file}:{node.lineno}: a citation is a decorator of a test"
        )


def _is_covers(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.covers"
