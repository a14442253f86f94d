"""Prometheus and Alertmanager as demo and tests start them: their end, their errors, and the "hurried" settings."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from demo.prometheus import hurried, shipped_rules
from demo.servers import ServerError, free_port, running

WEB = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1"]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_a_server_answers_while_the_context_lasts_and_is_gone_after_it(tmp_path: Path) -> None:
    port = free_port()
    async with running([*WEB, str(port)], f"http://127.0.0.1:{port}/", tmp_path / "log"):
        assert await asyncio.to_thread(listens, port)
    assert not await asyncio.to_thread(listens, port)


async def test_a_server_is_gone_too_when_the_wait_for_it_is_cancelled(tmp_path: Path) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start(child: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        started.append(child())
        return started[0]

    waiting = running(["sleep", "600"], "http://127.0.0.1:9/", tmp_path / "log", start=start)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(waiting.__aenter__(), 0.3)

    assert started[0].returncode is not None


async def test_a_server_that_ends_is_reported_with_its_own_output(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="status 3:\nno such flag"):
        async with running(["sh", "-c", "echo no such flag; exit 3"], "http://127.0.0.1:9/", tmp_path / "log"):
            pass


async def test_a_program_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="'no-such-program' could not be started"):
        async with running(["no-such-program"], "http://127.0.0.1:9/", tmp_path / "log"):
            pass


@pytest.mark.parametrize("path", shipped_rules(), ids=lambda path: path.name)
def test_a_hurried_rule_file_waits_less_and_says_the_same(path: Path) -> None:
    rules = yaml.safe_load(path.read_text())

    quick = hurried(rules, interval="1s", times=60)

    waits = {"for", "keep_firing_for"}
    for group, quick_group in zip(rules["groups"], quick["groups"], strict=True):
        assert quick_group["interval"] == "1s"
        for rule, quick_rule in zip(group["rules"], quick_group["rules"], strict=True):
            assert {key: rule[key] for key in rule if key not in waits} == {
                key: quick_rule[key] for key in quick_rule if key not in waits
            }


def test_what_waits_longer_still_does_when_hurried() -> None:
    rules = {"groups": [{"rules": [{"for": "2m"}, {"for": "1d", "keep_firing_for": "30s"}, {"record": "a:b:c"}]}]}

    quick = hurried(rules, interval="1s", times=60)

    assert quick["groups"][0]["rules"] == [
        {"for": "2000ms"},
        {"for": "1440000ms", "keep_firing_for": "500ms"},
        {"record": "a:b:c"},
    ]
