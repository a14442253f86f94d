"""One booted node for the whole session, as new for each test, and a second one where a test needs it."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import NoReturn

import pytest
from _pytest.runner import runtestprotocol

from tests.lab.lab import Lab, Node, missing
from tests.lab.scenario import FS, A, Scenario
from tests.lab.two_nodes import FILESYSTEM, ZVOL, TwoNodeCluster

_HERE = Path(__file__).parent
_LAB = pytest.StashKey[Lab]()
_HUNG = "nodes that hung"
_TWO = "two_nodes"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is marked ``lab``; what needs a second node comes last."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.lab)
    items.sort(key=_nodes)


def _nodes(item: pytest.Item) -> int:
    """How many nodes a test needs."""
    if not item.path.is_relative_to(_HERE):
        return 0
    return 2 if _TWO in getattr(item, "fixturenames", ()) else 1


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test's report ends with the log of the newest run and with what the nodes logged."""
    report = yield
    arguments = getattr(item, "funcargs", {})
    lab = arguments.get("lab")
    if isinstance(lab, Lab):
        item.stash[_LAB] = lab
    if report.failed and isinstance(lab, Lab):
        clusters = {id(cluster): cluster for cluster in arguments.values() if isinstance(cluster, TwoNodeCluster)}
        report.sections.extend(("newest run", cluster.newest_log()) for cluster in clusters.values())
        report.sections.extend((f"log of {node.name}", node.logs()) for node in lab.nodes)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test again, once, that failed while one of its nodes hung: the lab's fault, not the program's under test.

    Under load a User-Mode Linux rarely stops for good. A program that makes it stop does so again the second time.
    """
    if not item.path.is_relative_to(_HERE):
        return None
    where = {"nodeid": item.nodeid, "location": item.location}
    item.ihook.pytest_runtest_logstart(**where)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    hung = _hung_nodes(item) if any(report.failed for report in reports) else []
    if hung:
        item.user_properties.append((_HUNG, ", ".join(hung)))
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(**where)
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the tests that were run again, and why."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport) and report.when == "call":
                for name, nodes in report.user_properties:
                    if name == _HUNG:
                        terminalreporter.write_line(f"LAB: run again, since {nodes} hung: {report.nodeid}")


def _hung_nodes(item: pytest.Item) -> list[str]:
    """Return the nodes that are switched on and plugged in, and do not answer."""
    lab = item.stash.get(_LAB, None)
    return [] if lab is None else [node.name for node in lab.nodes if node.hangs()]


def _terminated(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A lab of one node that runs; built first where needed, which takes minutes once."""
    if lacks := missing():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(lacks)
    before = signal.signal(signal.SIGTERM, _terminated)  # also a terminated session takes its nodes along
    nodes = Lab()
    try:
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            nodes.up(1)
        yield nodes
    finally:
        nodes.down()
        signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def two_nodes(lab: Lab) -> Lab:
    """The lab with its second node, which is booted for the first test that needs it."""
    lab.up(2)
    return lab


@pytest.fixture
def fresh_nodes(lab: Lab, request: pytest.FixtureRequest) -> list[Node]:
    """The two nodes of a cluster, as if never used, each with an empty pool.

    They are two machines for a test that needs the fixture ``two_nodes``, otherwise one.
    """
    if _TWO not in request.fixturenames:
        node = lab.node(1)
        node.fresh(second="target" in request.fixturenames)
        node = node.with_agent(lab.agent)
        return [node, node.as_second()]
    with ThreadPoolExecutor() as threads:
        list(threads.map(Node.fresh, lab.nodes))
    return lab.nodes


@pytest.fixture
def node1(fresh_nodes: list[Node]) -> Node:
    """A machine as if never used; its pool is ``tank``."""
    return fresh_nodes[0]


@pytest.fixture
def node2(two_nodes: Lab, fresh_nodes: list[Node]) -> Node:
    """The other machine as if never used; its pool is ``tank``."""
    return fresh_nodes[1]


@pytest.fixture
def source(fresh_nodes: list[Node]) -> Node:
    """The node of the guests; its pool is ``tank``."""
    return fresh_nodes[0]


@pytest.fixture
def target(fresh_nodes: list[Node]) -> Node:
    """The node of the replicas: the pool ``pond`` of the same machine, or the other machine."""
    return fresh_nodes[1]


@pytest.fixture
def duo(lab: Lab, source: Node, target: Node) -> TwoNodeCluster:
    """A guest with a filesystem and a zvol, and a job that nothing runs by itself."""
    duo = TwoNodeCluster(lab, source, target)
    duo.filesystem(FILESYSTEM)
    duo.zvol(ZVOL, 16)
    duo.job()
    return duo


@pytest.fixture
def bare(lab: Lab, source: Node, target: Node) -> Scenario:
    """Two nodes of a cluster; the guest has no volume yet."""
    return Scenario(lab, source, target)


@pytest.fixture
def scene(bare: Scenario) -> Scenario:
    """A guest with a zvol of 8 MiB content and a filesystem of 4 MiB, replicated once."""
    bare.zvol(A, 16)
    bare.filesystem(FS, 4)
    bare.job()
    bare.well()
    return bare
