"""``zsr notify test`` as somebody runs it: what is printed, and the exit status."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from alerts.cli import notify
from tests.monitoring.webhookserver import WebhookServer, webhook_server

SECRET = "t0ken-in-path"


@pytest.fixture
async def hooks() -> AsyncIterator[WebhookServer]:
    async with webhook_server() as server:
        yield server


async def zsr_notify_test(settings: Path, *args: str) -> Result:
    command = ["test", "--config", str(settings), *args]
    return await asyncio.to_thread(CliRunner().invoke, notify, command)


def write(tmp_path: Path, *tables: str) -> Path:
    path = tmp_path / "zsr with a space.toml"
    path.write_text('node = "alpha"\n' + "".join(f"[[notify]]\n{table}\n" for table in tables))
    return path


def hook(port: int, name: str = "hook", more: str = "") -> str:
    return f'name = "{name}"\nurl = "json://127.0.0.1:{port}/{SECRET}"\n{more}'


async def test_all_delivered_exits_0(tmp_path: Path, hooks: WebhookServer) -> None:
    result = await zsr_notify_test(write(tmp_path, hook(hooks.port), hook(hooks.port, "second")))
    assert result.exit_code == 0, result.output
    assert len(hooks.seen) == 2
    assert result.output.splitlines()[0].split() == ["TARGET", "KIND", "RESULT", "SECONDS", "WHY"]
    assert result.output.splitlines()[1].split()[:3] == ["hook", "json", "ok"]
    assert SECRET not in result.output


async def test_one_that_fails_exits_1_and_says_why_for_each(
    tmp_path: Path, hooks: WebhookServer, unused_tcp_port: int
) -> None:
    result = await zsr_notify_test(write(tmp_path, hook(hooks.port), hook(unused_tcp_port, "dead")))
    assert result.exit_code == 1
    good, dead = result.output.splitlines()[1:3]
    assert good.split()[2] == "ok"
    assert dead.split()[2] == "failed"
    assert "The connection was refused" in dead
    assert SECRET not in result.output


async def test_json_is_for_scripts(tmp_path: Path, hooks: WebhookServer) -> None:
    hooks.statuses = [500]
    result = await zsr_notify_test(write(tmp_path, hook(hooks.port)), "--format", "json")
    (trial,) = json.loads(result.output)
    assert (trial["target"], trial["kind"], trial["status"]) == ("hook", "json", "failed")
    assert "HTTP 500" in trial["reason"]


async def test_a_name_chooses_one_target_also_one_that_is_switched_off(tmp_path: Path, hooks: WebhookServer) -> None:
    settings = write(tmp_path, hook(hooks.port), hook(hooks.port, "off", "enabled = false"))
    assert (await zsr_notify_test(settings, "off")).exit_code == 0
    assert len(hooks.seen) == 1
    assert "off" in hooks.seen[0].json["message"]


async def test_without_a_name_switched_off_targets_are_left_alone(tmp_path: Path, hooks: WebhookServer) -> None:
    settings = write(tmp_path, hook(hooks.port), hook(hooks.port, "off", "enabled = false"))
    await zsr_notify_test(settings)
    assert len(hooks.seen) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "No notification target is configured"),
        ("[[notify", "is not TOML"),
        (
            f'[[notify]]\nname = "a"\nurl = "nonsense://{SECRET}"\n[[notify]]\nname = "B"\nurl_env = "X"',
            "notify.1.name",
        ),
        (f'[[notify]]\nname = "a"\nurl = "json://h/{SECRET}"\nenabled = false', "switched off"),
    ],
)
async def test_wrong_settings_exit_2_with_a_reason_and_without_the_secret(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "zsr.toml"
    path.write_text(f'node = "alpha"\n{text}')
    result = await zsr_notify_test(path)
    assert result.exit_code == 2
    assert said in result.output
    assert SECRET not in result.output


async def test_a_missing_file_and_an_unknown_name_exit_2(tmp_path: Path) -> None:
    missing = await zsr_notify_test(tmp_path / "none.toml")
    assert (missing.exit_code, "There is no file" in missing.output) == (2, True)
    unknown = await zsr_notify_test(write(tmp_path, hook(9)), "nobody")
    assert (unknown.exit_code, "Configured are: hook" in unknown.output) == (2, True)
