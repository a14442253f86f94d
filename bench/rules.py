"""What the alert rules cost, compared with those of an earlier commit; `python -m bench.rules --base 7b3b051`.

A real Prometheus scrapes four nodes with 2,500 jobs each (300 of all fail) for some minutes and evaluates both sets of
rules, the earlier ones under other names. Then scrapes and rules stop, and each expression is asked for in turns, at
one moment of the same data. The seconds are those of Prometheus on a processor, so that other load hardly counts; the
best of several turns counts. What it costs to store the results is not in it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from aiohttp import ClientSession, ClientTimeout, web

from bench.env import save
from demo.prometheus import prometheus_command, prometheus_settings, shipped_rules
from demo.servers import free_port, running
from exporter.collectors import ScrapeInput, collect
from exporter.exposition import Format, render
from replicator.api.held import HeldReplica
from replicator.api.status import Status
from replicator.models import GuestId
from tests.support.prometheus import binary
from tests.support.statuses import covered, failing, healthy, status

GOAL_RATIO = 1.3
NODES = ("alpha", "beta", "gamma", "delta")
FAILING = 0.03
PROMISE = 6 * 3600.0
BASE = "base_"
"""Begins the names of the series that the earlier rules record."""

_TICKS = os.sysconf("SC_CLK_TCK")
_RECORDED = re.compile(r"(?<![\w:])((?:zsr_|instance|guest|cluster)\w*:[\w:]+)")
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Query:
    """A rule's expression, as its set reads it."""

    rules: str
    group: str
    name: str
    expression: str
    interval: float


def fleet(jobs: int, now: float) -> Iterator[tuple[str, Status]]:
    """The statuses of all nodes: each sends its jobs to the next one, and holds those of the one before."""
    each = jobs // len(NODES)
    for number, node in enumerate(NODES):
        target, before = NODES[(number + 1) % len(NODES)], number - 1
        known = [_job(100 + number * each + at, node, target, now, at) for at in range(each)]
        first = 100 + before % len(NODES) * each
        held = tuple(HeldReplica(first + at, NODES[before], "local-zfs", now - 300, 5 << 30) for at in range(each))
        found = status(*known, now=now, reachable={other: True for other in NODES if other != node})
        yield node, replace(found, node=node, replicas=held, diverged={}, coverage=covered(*known))


def _job(guest: GuestId, node: str, target: str, now: float, number: int) -> Any:
    name = f"{guest}-0"
    found = failing(name, now=now) if number % int(1 / FAILING) == 0 else healthy(name, now=now)
    return replace(found, source=node, job=replace(found.job, target=target), rpo=PROMISE)


@asynccontextmanager
async def served(statuses: Mapping[str, Status]) -> AsyncIterator[list[str]]:
    """Serve what the real exporter makes of each status while the body runs."""
    addresses: list[str] = []
    runners: list[web.AppRunner] = []
    for node, known in statuses.items():
        body = render(collect(ScrapeInput(known)), Format.TEXT)

        async def answer(_: web.Request, body: bytes = body) -> web.Response:
            return web.Response(body=body, headers={"Content-Type": Format.TEXT.value})

        app = web.Application()
        app.router.add_get("/metrics", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        addresses.append(f"127.0.0.1:{port}")
        runners.append(runner)
        sys.stdout.write(f"{node}: {body.count(b'{')} series\n")
    try:
        yield addresses
    finally:
        for runner in runners:
            await runner.cleanup()


def rules_now() -> list[dict[str, Any]]:
    """The rule files of this checkout."""
    return [yaml.safe_load(path.read_text()) for path in shipped_rules()]


def rules_of(commit: str) -> list[dict[str, Any]]:
    """Those of a commit, with other names for what they record."""
    names = _git("ls-tree", "--name-only", commit, "alerts/rules/").split()
    texts = [_git("show", f"{commit}:{name}") for name in names if name.endswith(".yml")]
    return [_renamed(yaml.safe_load(text)) for text in texts]


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=_ROOT, capture_output=True, text=True, check=True).stdout


def _renamed(content: dict[str, Any]) -> dict[str, Any]:
    for group in content["groups"]:
        group["name"] = BASE + group["name"]
        for rule in group["rules"]:
            rule["expr"] = _RECORDED.sub(rf"{BASE}\1", str(rule["expr"]))
            if "record" in rule:
                rule["record"] = BASE + rule["record"]
            rule.pop("annotations", None)
    return content


def queries(rules: str, files: Sequence[Mapping[str, Any]]) -> list[Query]:
    """The expressions of these files."""
    return [
        Query(rules, group["name"].removeprefix(BASE), _name(rule), str(rule["expr"]), _seconds(group["interval"]))
        for content in files
        for group in content["groups"]
        for rule in group["rules"]
    ]


def _name(rule: Mapping[str, Any]) -> str:
    return str(rule.get("alert") or rule["record"]).removeprefix(BASE)


def _seconds(interval: str) -> float:
    return float(interval[:-1]) * {"s": 1, "m": 60}[interval[-1]]


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


async def asked(session: ClientSession, url: str, pid: int, query: Query, at: float) -> float:
    """The processor seconds of one evaluation."""
    before = _processor_seconds(pid)
    parameters = {"query": f"count({query.expression})", "time": f"{at:.0f}", "timeout": "10m"}
    async with session.post(f"{url}/api/v1/query", data=parameters) as response:
        answer = await response.json()
    if answer["status"] != "success":
        raise ValueError(f"{query.name}: {answer}")
    return _processor_seconds(pid) - before


async def measure(jobs: int, minutes: float, turns: int, base: str) -> dict[str, Any]:
    """All of it."""
    sets = {"base": rules_of(base), "now": rules_now()}
    every = [query for name, files in sets.items() for query in queries(name, files)]
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        paths = [folder / f"{name}-{number}.yml" for name in sets for number in range(len(sets[name]))]
        contents = [content for files in sets.values() for content in files]
        for path, content in zip(paths, contents, strict=True):
            path.write_text(yaml.safe_dump(content))
        listen = f"127.0.0.1:{free_port()}"
        async with served(dict(fleet(jobs, time.time()))) as addresses:
            settings = prometheus_settings(addresses, rules=paths, interval="30s")
            command = prometheus_command(binary("prometheus"), folder, settings, listen)
            flags = ["--web.enable-lifecycle", "--query.timeout=10m"]
            async with (
                running([*command, *flags], f"http://{listen}/-/ready", folder / "log"),
                ClientSession(timeout=ClientTimeout(total=None)) as session,
            ):
                await asyncio.sleep(minutes * 60)
                at = time.time() - 30
                prometheus_command(binary("prometheus"), folder, prometheus_settings([]), listen)
                async with session.post(f"http://{listen}/-/reload") as response:
                    response.raise_for_status()
                await asyncio.sleep(20)
                pid = await asyncio.to_thread(_pid, listen)
                best: dict[Query, float] = {}
                for _ in range(turns):
                    for query in every:
                        seconds = await asked(session, f"http://{listen}", pid, query, at)
                        best[query] = min(seconds, best.get(query, seconds))
    return summary(best, jobs, base)


def _pid(listen: str) -> int:
    """The child of this process that listens there."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    lines = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in children}
    return next(int(pid) for pid, line in lines.items() if listen in line)


def summary(best: Mapping[Query, float], jobs: int, base: str) -> dict[str, Any]:
    """The seconds of each set for a minute of evaluations, their ratio, and the rules that cost most."""
    minute = dict.fromkeys(("base", "now"), 0.0)
    for query, seconds in best.items():
        minute[query.rules] += seconds * 60 / query.interval
    dear = sorted(best.items(), key=lambda each: -each[1] * 60 / each[0].interval)
    known = {query.name: seconds for query, seconds in best.items() if query.rules == "base"}
    return {
        "jobs": jobs,
        "base": base,
        "processor_seconds_a_minute": {name: round(seconds, 2) for name, seconds in minute.items()},
        "ratio": round(minute["now"] / minute["base"], 2),
        "goal_ratio": GOAL_RATIO,
        "rules": [
            {
                "name": query.name,
                "group": query.group,
                "seconds": round(seconds, 3),
                "base_seconds": round(known[query.name], 3) if query.name in known else None,
            }
            for query, seconds in dear
            if query.rules == "now"
        ],
    }


def main() -> None:
    """Measure and write bench/results/rules.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=14, help="of scrapes; rules look back 10 minutes and more")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--base", default="7b3b051")
    options = parser.parse_args()
    result = asyncio.run(measure(options.jobs, options.minutes, options.turns, options.base))
    sys.stdout.write(f"{json.dumps(result, indent=1)}\nwritten: {save('rules', {'rules': result})}\n")


if __name__ == "__main__":
    main()
