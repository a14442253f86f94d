"""One node of the lab: commands on it, processes that outlive a command, pools, clock, network and power."""

from __future__ import annotations

import asyncio
import itertools
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NoReturn

from tests.lab.agent import Agent, Ended

Command = str | Sequence[str]
"""A line for the node's shell, or an argv that is quoted for it."""

ZSR_FORKED = "/opt/zsr/tests/lab/zsr-forked"

_numbers = itertools.count(1)

_END_PROCESSES = """
for f in /run/lab/spawned/*.sid; do [ -e "$f" ] && kill -9 $(ps -o pid= -s "$(cat "$f")") 2>/dev/null; done
for f in /run/lab/zsr/*; do
  [ -e "$f" ] && grep -qa replicator "/proc/${f##*/}/cmdline" 2>/dev/null && kill -9 "${f##*/}"
done
"""
_FORGET = """
rm -rf /var/lib/zsr /etc/zsr /run/zsr /var/log/zsr /run/lab/spawned /run/lab/zsr /var/log/lab
rm -f /usr/local/sbin/zfs /usr/local/sbin/zpool
nft delete table inet lab 2>/dev/null; tc qdisc del dev vec0 root 2>/dev/null; true
"""
_DESTROY_POOLS = """
for pool in $(zpool list -H -o name); do
  n=0; until zpool destroy -f "$pool" 2>/run/lab/destroy; do
    n=$((n+1)); [ $n -lt 15 ] || { cat /run/lab/destroy >&2; exit 1; }; sleep 0.2
  done
done
"""


class CommandFailedError(AssertionError):
    """A command on a node ended with another status than 0, or not in time; the text holds all that it wrote."""


def _completed(line: str, ended: Ended) -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess(line, ended.status, ended.stdout, ended.stderr)


def _refuse(*arguments: str) -> NoReturn:
    raise AssertionError(f"labctl {' '.join(arguments)}: this test needs the second machine: mark it `on_two_nodes`")


def _line(command: Command) -> str:
    return command if isinstance(command, str) else shlex.join(command)


def _create_pool(name: str, size_mb: int | None, disk: int) -> str:
    device = {1: "/dev/ubdb", 2: "/dev/ubdc"}[disk]
    lines = ["set -e", f"blkdiscard -f {device} 2>/dev/null || wipefs -qa {device}"]
    part = device
    if size_mb is not None:
        part = f"{device}1"
        lines.append(f"echo ',{size_mb}M' | sfdisk -q --label gpt {device} && udevadm settle")
    return "\n".join([*lines, f"zpool create -f {shlex.quote(name)} {part}"])


@dataclass(frozen=True, slots=True)
class NodeProcess:
    """A process that was started on a node and goes on by itself, also while the node's network is cut.

    ``pid`` is its id on the node; what it writes goes to a file there.
    """

    node: Node
    pid: int
    record: str
    log: str

    def output(self) -> str:
        """All that it has written so far, standard output and error together."""
        return self.node.read(self.log)

    def kill(self, signal: str = "KILL") -> None:
        """Send it a signal by name, e.g. ``TERM``; no error when it has ended already."""
        self.node.run(f"kill -{signal} {self.pid}", check=False)

    def status(self) -> int | None:
        """Its exit status (128 + n when signal n ended it), or None while it runs."""
        text = self.node.out(f"cat {self.record}.rc 2>/dev/null || true")
        return int(text) if text else None

    def wait(self, timeout: float = 60.0) -> int:
        """Its exit status, once it has ended.

        Raises:
            TimeoutError: it still runs after ``timeout`` seconds.
        """
        end = time.monotonic() + timeout
        while (status := self.status()) is None:
            if time.monotonic() > end:
                raise TimeoutError(
                    f"process {self.pid} on {self.node.name} still runs after {timeout} s:\n{self.output()}"
                )
            time.sleep(0.1)
        return status


@dataclass(frozen=True, slots=True)
class Node:
    """A booted machine with OpenZFS 2.4, Debian 13, sshd and the command ``zsr`` of this checkout.

    ``inside`` runs a host argv in the lab's network namespace; ``control`` runs ``labctl`` with these arguments.
    The guests' volumes lie below ``data`` of ``pool``, on ``disk`` 1 or 2. ``called`` is its name in the cluster where
    that is not the machine's. With an ``agent``, steps go over its open connections, otherwise each by an ssh.
    """

    number: int
    state: Path
    inside: Callable[[Sequence[str]], list[str]]
    control: Callable[..., subprocess.CompletedProcess[str]]
    pool: str = "tank"
    disk: int = 1
    called: str = ""
    agent: Agent | None = None

    @property
    def host(self) -> str:
        """The machine: ``node1`` and so on; they resolve each other's names."""
        return f"node{self.number}"

    @property
    def name(self) -> str:
        """Its name in a cluster."""
        return self.called or self.host

    @property
    def ip(self) -> str:
        """Its IPv4 address in the lab's network."""
        return f"10.91.0.{10 + self.number}"

    def as_second(self) -> Node:
        """The same machine once more, as the cluster's ``node2``, which has the pool ``pond``.

        Network, power and clock are the machine's: there is only one of each, so this one has no say in them.
        """
        return replace(self, pool="pond", disk=2, called="node2", control=_refuse)

    def path(self, name: str = "") -> str:
        """The dataset of a volume; without a name that of all of them."""
        return f"{self.pool}/data/{name}" if name else f"{self.pool}/data"

    def reach(self, other: Node) -> str:
        """What stands before a command for another node in a line for this one: ``ssh NODE ``, or nothing."""
        return "" if other.number == self.number else f"ssh {other.host} "

    # --- commands and files

    def run(
        self, command: Command, *, check: bool = True, timeout: float = 60.0, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run ``command`` as root and wait for it. Its environment is that of an ssh command.

        Raises:
            CommandFailedError: ``check`` and the status is not 0; or it took longer than ``timeout`` seconds.
        """
        line = _line(command)
        if self.agent is None:
            return self._checked(line, lambda: self._by_ssh(line, stdin, timeout), timeout, check=check)
        ask = partial(self.agent.shell, line, stdin=stdin, timeout=timeout)
        return self._checked(line, lambda: _completed(line, ask()), timeout, check=check)

    def _by_ssh(self, line: str, stdin: str, timeout: float) -> subprocess.CompletedProcess[str]:
        argv = self.inside(["ssh", "-F", str(self.state / "ssh_config"), self.host, line])
        return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)

    def _checked(
        self, line: str, act: Callable[[], subprocess.CompletedProcess[str]], timeout: float, *, check: bool
    ) -> subprocess.CompletedProcess[str]:
        try:
            done = act()
        except (subprocess.TimeoutExpired, TimeoutError) as error:
            raise CommandFailedError(f"{self.name}: {line}: not done within {timeout} s") from error
        except OSError as error:
            raise CommandFailedError(f"{self.name}: {line}: {error}") from error
        if check and done.returncode != 0:
            raise CommandFailedError(
                f"{self.name}: {line}: status {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
            )
        return done

    def out(self, command: Command, *, timeout: float = 60.0) -> str:
        """What ``command`` writes to standard output, without the last line end."""
        return self.run(command, timeout=timeout).stdout.rstrip("\n")

    def zsr(self, *arguments: str, check: bool = True, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run the command ``zsr``, forked from an interpreter that stays on the node: several times faster.

        A test of the process itself (signals, open files, what it starts with) uses `run` or `spawn`.
        """
        command = [ZSR_FORKED, *arguments]
        if self.agent is None:
            return self.run(command, check=check, timeout=timeout)
        line, ask = _line(command), partial(self.agent.zsr, *arguments, timeout=timeout)
        return self._checked(line, lambda: _completed(line, ask()), timeout, check=check)

    def with_agent(self, agent: Agent) -> Node:
        """The same node, with all steps over the agent's connections; starts what serves them where it does not run."""
        if not agent.serves():
            replace(self, agent=None).run(f"{ZSR_FORKED} --version && rm -rf /run/lab/zsr", timeout=300)
        return replace(self, agent=agent)

    async def arun(  # the time limit ends the command, not just the waiting
        self,
        command: Command,
        *,
        check: bool = True,
        timeout: float = 60.0,  # noqa: ASYNC109
        stdin: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """`run`, while the caller's event loop goes on."""
        return await asyncio.to_thread(self.run, command, check=check, timeout=timeout, stdin=stdin)

    def spawn(self, command: Command) -> NodeProcess:
        """Start ``command`` in a session of its own and return at once; it is killed when the test ends.

        Given as a list, the process id is that of the command itself; given as a line, that of a shell that runs it.
        """
        record = f"/run/lab/spawned/{next(_numbers)}"
        log = f"/var/log/lab/{Path(record).name}.log"
        action = 'echo $$ >"$0.pid"; ' + (command if isinstance(command, str) else f"exec {shlex.join(command)}")
        session = 'echo $$ >"$0.sid"; sh -c "$1" "$0"; echo $? >"$0.rc"'
        pid = self.out(
            f"mkdir -p /run/lab/spawned /var/log/lab; rm -f {record}.*; "
            # not `&`: a shell would let its background children ignore SIGINT
            f"setsid -f sh -c {shlex.quote(session)} {record} {shlex.quote(action)} >{log} 2>&1 </dev/null; "
            f"until [ -s {record}.pid ]; do sleep 0.02; done; cat {record}.pid"
        )
        return NodeProcess(self, int(pid), record, log)

    def put(self, source: Path, target: str) -> None:
        """Copy a file or folder of the host to the node."""
        self.control("put", str(self.number), str(source), target)

    def write(self, path: str, text: str) -> None:
        """Make ``path`` on the node with this text; missing folders are made."""
        quoted = shlex.quote(path)
        self.run(f'mkdir -p "$(dirname {quoted})" && cat >{quoted}', stdin=text)

    def read(self, path: str) -> str:
        """The text of a file on the node."""
        return self.run(["cat", path]).stdout

    # --- pools

    def fresh_pool(self, name: str = "", *, size_mb: int | None = None, disk: int = 0) -> None:
        """An empty pool ``name`` on disk 1 or 2, by default the node's own; what was on that disk is gone.

        ``size_mb`` makes it that small (least 64), for a pool that a test wants full; otherwise it has the disk's 4 GB.
        """
        name = name or self.pool
        self.run(f"zpool destroy -f {shlex.quote(name)} 2>/dev/null\n{_create_pool(name, size_mb, disk or self.disk)}")

    def fresh(self, *, second: bool = False) -> None:
        """As if never used: alive, on the network, clock and zfs are right, no trace of zsr, an empty pool ``tank``.

        ``second``: also with the pool of `as_second`.
        """
        if self.alive():
            self.restore_link()
        else:
            self.start()
        places = (self, self.as_second()) if second else (self,)
        create = "\n".join(_create_pool(each.pool, None, each.disk) for each in places)
        clock = f"date -s @{time.time():.3f} >/dev/null"
        try:
            self.run(
                "\n".join(("mkdir -p /run/lab", clock, _END_PROCESSES, _FORGET, _DESTROY_POOLS, create)), timeout=30
            )
        except CommandFailedError:  # a pool that hangs or is suspended does not survive a power cut without its disks
            self.crash()
            for image in ("disk1.img", "disk2.img"):
                (self.state / self.host / image).unlink(missing_ok=True)
            self.start()
            self.run(create)

    # --- clock

    def clock(self) -> float:
        """The node's own time, unix seconds."""
        return float(self.out("date +%s.%N"))

    def set_clock(self, unix: float) -> None:
        """Set the node's own clock; the host's and the other nodes' stay."""
        self.run(f"date -s @{unix:.6f}")

    def shift_clock(self, seconds: float) -> None:
        """Let the node's clock jump forward, or backward by a negative number."""
        nanoseconds = int(seconds * 1e9)
        self.run(
            f"t=$(($(date +%s%N) + {nanoseconds})); date -s @$((t / 1000000000)).$(printf %09d $((t % 1000000000)))"
        )

    # --- network

    def cut_network(self) -> None:
        """Pull the cable: whatever is sent to or by the node is lost without a word, the test's own commands too."""
        self.control("cut", str(self.number))

    def cut_from(self, *others: Node) -> None:
        """Lose silently all that goes to and comes from these nodes; the test still reaches this one."""
        self._filter(others, "drop")

    def refuse_from(self, *others: Node) -> None:
        """Answer these nodes' TCP packets, and one's own to them, with a reset: connections break and are refused."""
        self._filter(others, "tcp flags & rst != rst reject with tcp reset")  # the resets themselves pass

    def restore_network(self) -> None:
        """Undo `cut_network`, `cut_from`, `refuse_from` and `delay_network`."""
        self.restore_link()
        self.run("nft delete table inet lab 2>/dev/null; tc qdisc del dev vec0 root 2>/dev/null; true")

    def restore_link(self) -> None:
        """Plug the cable in again."""
        self.control("plug", str(self.number))

    def delay_network(self, milliseconds: float) -> None:
        """Hold back every packet that the node sends for so long."""
        self.run(f"tc qdisc replace dev vec0 root netem limit 100000 delay {milliseconds}ms")

    def _filter(self, others: Sequence[Node], verdict: str) -> None:
        rules = "\n".join(
            f"add rule inet lab {chain} ip {side} {other.ip} {verdict}"
            for other in others
            for chain, side in (("in", "saddr"), ("out", "daddr"))
        )
        self.run(
            "nft -f -",
            stdin="add table inet lab\ndelete table inet lab\nadd table inet lab\n"
            "add chain inet lab in { type filter hook input priority 0; }\n"
            "add chain inet lab out { type filter hook output priority 0; }\n"
            f"{rules}\n",
        )

    # --- power

    def alive(self) -> bool:
        """Whether it is switched on."""
        return any(line.startswith(f"{self.host} up ") for line in self.control("status").stdout.splitlines())

    def hangs(self) -> bool:
        """Whether it is on, its cable is plugged in, and it does not answer for half a minute."""
        if not self.alive():
            return False
        self.restore_link()
        try:
            self.run("true", timeout=30, check=False)
        except CommandFailedError:
            return True
        return False

    def crash(self) -> None:
        """Cut its power. The disks keep what had reached them; everything else, /etc and /var too, is lost."""
        self.control("crash", str(self.number))

    def start(self) -> None:
        """Boot it (no effect when it is on) and wait until its ssh answers; pools on its disks are imported."""
        self.control("start", str(self.number))

    def stop(self) -> None:
        """Shut it down cleanly: pools are exported."""
        self.control("stop", str(self.number))

    def console(self) -> str:
        """What its kernel and init have said since the lab came up."""
        return (self.state / self.host / "console.log").read_text(errors="replace")

    def logs(self, lines: int = 60) -> str:
        """The ends of the console, of the logs in /var/log/zsr and of spawned processes, for a failed test's report."""
        text = "--- console\n" + "\n".join(self.console().splitlines()[-lines:])
        if not self.alive():
            return f"{text}\n--- {self.name} is off"
        try:
            found = self.run(
                "for f in /var/log/zsr/* /var/log/lab/*; do "
                f'[ ! -f "$f" ] || {{ echo "--- $f"; tail -n {lines} "$f"; }}; done',
                timeout=10,
            )
        except CommandFailedError as error:
            return f"{text}\n--- {error}"
        return f"{text}\n{found.stdout}"
