"""What the daemon knows of its surroundings: whether its ZFS answers, and how far the other nodes' clocks are apart."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from replicator.cluster.model import Cluster
from replicator.config.ssh import SshSettings
from replicator.daemon.node_monitor import NodeMonitor, pause_after
from replicator.errors import DeadlineError, NetworkError, ZsrError
from replicator.hosts.host import Completed
from replicator.models import Guest, Job, JobId, Node, Storage
from replicator.state.stores import State
from replicator.zfs.node_clients import CLOCK_VALID_SECONDS, Nodes
from tests.support.daemon_env import NOW, Clock, DaemonEnv, RunScript, play, until

USAGE = "snapshot\nlist [-Hp]\n"


class FakeHost:
    """A node's command line that answers from a table, by the first two words; counts what it was asked."""

    compression = "none"

    def __init__(self, name: str, answers: Mapping[str, str | Exception]) -> None:
        self.name = name
        self.answers = dict(answers)
        self.asked: list[str] = []

    async def close(self) -> None:
        """Nothing to give up."""

    async def probe(self) -> None:
        answer = self.answers.get("probe")
        if isinstance(answer, Exception):
            raise answer

    async def run(self, argv: Sequence[str], *, limit: float, stdin: str = "") -> Completed:
        words = " ".join(argv[:2])
        self.asked.append(words)
        answer = self.answers.get(words, "")
        if isinstance(answer, Exception):
            raise answer
        return Completed(tuple(argv), 0, answer, "")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def beta() -> FakeHost:
    return FakeHost("beta", {"date +%s.%N": f"{NOW + 2.5}\n"})


@pytest.fixture
def nodes(clock: Clock, beta: FakeHost, monkeypatch: pytest.MonkeyPatch) -> Nodes:
    """Alpha with beta, which answered at the last contact, and gamma, which did not."""
    made = Nodes("alpha", SshSettings(), limit=5, clock=clock)
    monkeypatch.setattr(Nodes, "_host", lambda _, name: beta if name == "beta" else FakeHost(name, {}))
    asyncio.run(made.update([Node("alpha", "local"), Node("beta", "10.0.0.2"), Node("gamma", "10.0.0.3")]))
    made.mark_reachable("alpha")
    made.mark_reachable("beta")
    made.mark_unreachable("gamma")
    return made


async def test_clocks_of_nodes_that_answer_are_compared(nodes: Nodes) -> None:
    await nodes.compare_clocks()
    assert nodes.clock_skew == {"beta": pytest.approx(2.5, abs=1.0)}


async def test_a_clock_is_compared_again_after_a_while_and_not_before(
    nodes: Nodes, beta: FakeHost, clock: Clock
) -> None:
    for moment in (0.0, CLOCK_VALID_SECONDS - 1, CLOCK_VALID_SECONDS + 1):
        clock.now = NOW + moment
        await nodes.compare_clocks()
    assert beta.asked.count("date +%s.%N") == 2


async def test_a_clock_of_ours_that_was_set_back_is_compared_at_once(
    nodes: Nodes, beta: FakeHost, clock: Clock
) -> None:
    await nodes.compare_clocks()
    clock.now = NOW - 3600
    await nodes.compare_clocks()
    assert nodes.clock_skew["beta"] == pytest.approx(3602.5, abs=1.0)


@pytest.mark.parametrize("answer", [NetworkError("away."), DeadlineError("slow."), "", "date: invalid"])
async def test_a_node_that_does_not_report_keeps_what_was_known(
    nodes: Nodes, beta: FakeHost, clock: Clock, answer: str | ZsrError
) -> None:
    await nodes.compare_clocks()
    beta.answers["date +%s.%N"] = answer
    clock.now += CLOCK_VALID_SECONDS + 1
    await nodes.compare_clocks()
    assert set(nodes.clock_skew) == {"beta"}


@pytest.mark.parametrize(("answer", "reachable"), [(NetworkError("away."), False), ("", True)])
async def test_a_node_that_dies_between_two_runs_is_found_when_its_clock_is_asked(
    nodes: Nodes, beta: FakeHost, answer: str | ZsrError, reachable: bool
) -> None:
    beta.answers |= {"date +%s.%N": NetworkError("away."), "probe": answer}
    await nodes.compare_clocks()
    assert nodes.reachable == {"alpha": True, "beta": reachable, "gamma": False}


async def test_a_node_that_left_the_cluster_has_no_clock(nodes: Nodes) -> None:
    await nodes.compare_clocks()
    await nodes.update([Node("alpha", "local")])
    assert nodes.clock_skew == {}


BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
UUID = "5f1c0a52-9a51-4d3c-8d7c-0a4c9d0b7a11"


async def test_a_node_that_is_this_machine_is_recognised_until_its_address_changes(
    nodes: Nodes, beta: FakeHost
) -> None:
    nodes.boot = UUID
    beta.answers[BOOT_ID] = f"{UUID}\n"
    await nodes.compare_clocks()
    assert nodes.same_machine == {"beta": "alpha"}
    await nodes.update([Node("alpha", "local"), Node("beta", "10.0.0.9")])
    assert nodes.same_machine == {}


async def test_the_machine_met_under_a_name_is_known_with_the_time_until_another_one_answers(
    nodes: Nodes, beta: FakeHost, clock: Clock
) -> None:
    beta.answers[BOOT_ID] = UUID
    await nodes.compare_clocks()
    assert nodes.machines == {"beta": (UUID, NOW)}
    beta.answers[BOOT_ID] = ZsrError("no such file.")
    clock.now += CLOCK_VALID_SECONDS + 1
    await nodes.compare_clocks()
    assert nodes.machines == {"beta": (UUID, NOW)}, "a question without an answer meets nobody"
    beta.answers[BOOT_ID] = UUID.upper()
    clock.now += CLOCK_VALID_SECONDS + 1
    await nodes.compare_clocks()
    assert nodes.machines == {"beta": (UUID.upper(), clock.now)}


async def test_two_nodes_that_are_one_machine_are_recognised(nodes: Nodes, beta: FakeHost) -> None:
    nodes.mark_reachable("gamma")
    beta.answers[BOOT_ID] = UUID
    monkeypatched = FakeHost("gamma", {"date +%s.%N": f"{NOW}", BOOT_ID: UUID})
    nodes.client("gamma").host = monkeypatched  # type: ignore[assignment]
    await nodes.compare_clocks()
    assert nodes.same_machine == {"gamma": "beta"}


@pytest.mark.parametrize("answer", ["", "cat: No such file", ZsrError("no such file."), "0" * 36])
async def test_a_node_without_a_boot_id_or_with_another_one_is_a_machine_of_its_own(
    nodes: Nodes, beta: FakeHost, answer: str | ZsrError
) -> None:
    beta.answers[BOOT_ID] = answer
    await nodes.compare_clocks()
    assert nodes.same_machine == {}


# --- this node's ZFS


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State.open(tmp_path / "state.db")
    yield opened
    opened.close()


CLUSTER = Cluster(
    storages={"data": Storage("data", "tank/data")},
    guests={100: Guest(100, "web", "alpha")},
    jobs={JobId(100, 0): Job(JobId(100, 0), "beta")},
)


@pytest.fixture
def alpha() -> FakeHost:
    return FakeHost(
        "alpha", {"zfs": USAGE, "zfs version": "zfs-2.2.2\n", "zfs get": "tank\tused\t1\ntank\tavailable\t9\n"}
    )


async def look_once(alpha: FakeHost, state: State, monkeypatch: pytest.MonkeyPatch) -> NodeMonitor:
    """The outlook after its first look."""
    monkeypatch.setattr(Nodes, "_host", lambda _, __: alpha)
    made = NodeMonitor(Nodes("alpha", SshSettings(), limit=5), "alpha", state, Clock())
    before = made.problems
    task = asyncio.ensure_future(made.keep_inventory(lambda: CLUSTER, lambda: list(CLUSTER.jobs.values())))
    await until(lambda: made.problems is not before)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return made


async def test_before_the_first_look_its_zfs_has_not_answered(state: State) -> None:
    assert NodeMonitor(Nodes("alpha", SshSettings(), limit=5), "alpha", state, Clock()).problems


async def test_a_zfs_that_answers_leaves_no_problem(
    alpha: FakeHost, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await look_once(alpha, state, monkeypatch)
    assert made.problems == ()
    assert made.last_looks() == {"alpha": NOW}
    assert [(space.pool, space.size, space.free) for space in made.local_inventory.pools] == [("tank", 10, 9)]


@pytest.mark.parametrize("words", ["zfs", "zfs list", "zfs get"])
async def test_a_zfs_that_hangs_is_reported(
    alpha: FakeHost, state: State, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    alpha.answers[words] = DeadlineError("It did not end within 60 s.")
    made = await look_once(alpha, state, monkeypatch)
    assert "did not end within 60 s" in " ".join(made.problems)
    assert made.last_looks() == {}


async def test_another_node_has_the_time_at_which_a_run_last_listed_it(
    nodes: Nodes, beta: FakeHost, state: State, clock: Clock
) -> None:
    beta.answers |= {"zfs": USAGE}
    await nodes.client("beta").inventory("tank/data")
    clock.now += 60
    assert NodeMonitor(nodes, "alpha", state, clock).last_looks() == {"beta": clock.now - 60}


async def test_an_inventory_that_fails_unexpectedly_is_reported_and_does_not_end_the_daemon(
    alpha: FakeHost, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha.answers["zfs list"] = LookupError("surprise")
    made = await look_once(alpha, state, monkeypatch)
    assert "Unexpected LookupError" in " ".join(made.problems)


async def test_a_look_asks_for_each_storage_and_once_for_all_pools(
    alpha: FakeHost, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    await look_once(alpha, state, monkeypatch)
    assert [words for words in alpha.asked if words not in ("zfs", "zfs version")] == ["zfs list", "zfs get"]


# --- readiness as the daemon reports it


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> RunScript:
    return play(monkeypatch)


async def test_a_cluster_that_cannot_be_read_makes_a_daemon_unready_and_says_why(
    tmp_path: Path, script: RunScript, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def keep_inventory(self: NodeMonitor, *_: object) -> None:
        self.problems = ()

    monkeypatch.setattr(NodeMonitor, "keep_inventory", keep_inventory)
    stage = DaemonEnv(tmp_path, script)
    async with stage.running() as daemon:
        await until(lambda: daemon.status().ready)
        good = stage.cluster.read_text()
        stage.write("[jobs")
        await until(lambda: not daemon.status().ready)
        assert "cluster.toml" in daemon.status().not_ready[0]
        stage.write(good)
        await until(lambda: daemon.status().ready)
    stage.state.close()


@pytest.mark.parametrize(("took", "pause"), [(0.1, 60), (20, 60), (30, 90), (100, 300), (500, 600)])
def test_an_inventory_that_takes_long_is_taken_less_often_and_still_within_its_alerts_time(
    took: float, pause: float
) -> None:
    assert pause_after(took) == pause
    assert pause + min(took, 300) <= 900
