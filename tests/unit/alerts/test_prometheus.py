"""What a Prometheus says of zsr's rules and of this node, judged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from alerts.prometheus import Answers, ask, own_rules, rule_lines, scrape_line, shown
from replicator.api.doctor import Level, Line, Subject
from replicator.errors import NetworkError

AT = "http://mon:9090"
RULES = Subject("rules", "alpha")
WANTED = {"ZsrJobFailing", "ZsrDaemonDown"}


def judged(*, alertmanagers: int = 1, **rules: str) -> Line:
    (line,) = rule_lines(RULES, AT, Answers(rules, alertmanagers), WANTED)
    return line


def test_all_rules_and_an_alertmanager_are_well() -> None:
    assert judged(ZsrJobFailing="", ZsrDaemonDown="", Other="bad").level is Level.OK


def test_none_of_them_is_a_failure() -> None:
    line = judged(Other="")

    assert line.level is Level.FAIL
    assert line.text == "http://mon:9090 has loaded none of zsr's 2 rules."


def test_some_of_them_is_a_warning_that_names_what_lacks() -> None:
    line = judged(ZsrJobFailing="")

    assert line.level is Level.WARN
    assert line.text.endswith("rules: ZsrDaemonDown.")


def test_one_that_cannot_be_evaluated_is_a_failure_with_the_reason() -> None:
    line = judged(ZsrJobFailing="many-to-many matching", ZsrDaemonDown="")

    assert line.level is Level.FAIL
    assert "ZsrJobFailing: many-to-many matching" in line.text


def test_alerts_that_reach_no_alertmanager_reach_nobody() -> None:
    assert judged(alertmanagers=0, ZsrJobFailing="", ZsrDaemonDown="").level is Level.WARN


@pytest.mark.parametrize(
    ("nodes", "level"),
    [({"alpha", "beta"}, Level.OK), ({"alpha"}, Level.OK), ({"beta"}, Level.FAIL), (set[str](), Level.FAIL)],
)
def test_a_node_without_metrics_is_a_failure(nodes: set[str], level: Level) -> None:
    assert scrape_line(Subject("scrape", "alpha"), AT, Answers(nodes=frozenset(nodes))).level is level


def test_the_rules_of_zsr_are_read_from_its_own_files() -> None:
    assert own_rules() >= {"ZsrDaemonDown", "instance:zsr_node:known"}


def test_a_url_is_shown_without_user_and_password() -> None:
    assert shown("https://me:secret@mon.example.org:9090/prom?x=1") == "https://mon.example.org:9090/prom"


@asynccontextmanager
async def serving(answer: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """A server that answers everything in one way; yields its URL with a password in it."""
    app = web.Application()
    app.router.add_route("GET", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://me:secret@127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def refused(answer: Callable[[web.Request], Awaitable[web.Response]], limit: float = 5.0) -> str:
    async with serving(answer) as url:
        with pytest.raises(NetworkError) as error:
            await ask(url, limit)
    assert "secret" not in str(error.value)
    return error.value.what


async def test_another_server_is_no_prometheus() -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>hello</html>", content_type="text/html")

    async def strange(_: web.Request) -> web.Response:
        return web.json_response({"status": "success", "data": [1, 2]})

    assert "is no Prometheus" in await refused(page)
    assert "is no Prometheus" in await refused(strange)


async def test_one_that_asks_for_a_password_says_so() -> None:
    async def closed(_: web.Request) -> web.Response:
        return web.Response(status=401)

    assert "refuses to answer (HTTP status 401)" in await refused(closed)


async def test_one_that_hangs_is_given_up() -> None:
    async def hangs(_: web.Request) -> web.Response:
        await asyncio.sleep(3)
        return web.Response()

    assert "did not answer within" in await refused(hangs, 0.3)


async def test_nothing_at_all_is_said_in_words() -> None:
    with pytest.raises(NetworkError, match=r"http://127\.0\.0\.1:1 does not answer"):
        await ask("http://127.0.0.1:1", 5.0)
