"""``zsr notify`` as a user runs it: its output, and the exit status."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from alerts.cli import notify
from alerts.delivery.outbox import Entry
from alerts.delivery.store import RESEND, DeliveryStatus, TargetState, key_of, record_writes, state_json
from alerts.notice import Notice, NoticeKind, Severity
from alerts.subject import Subject
from replicator.errors import ConfigError
from replicator.models import JobId
from replicator.state.plugin_store import SqlitePluginStore
from replicator.state.stores import State
from tests.support.command_line import CLUSTER
from tests.support.webhookserver import WebhookServer

SECRET = "t0ken-in-path"


async def zsr_notify_test(settings: Path, *args: str) -> Result:
    command = ["test", "--config", str(settings), *args]
    return await asyncio.to_thread(CliRunner().invoke, notify, command)


def zsr_fails(settings: Path, *args: str) -> tuple[int, str]:
    """Run the whole program, which prints what ``notify`` raises; its exit status and words."""
    argv = [sys.executable, "-m", "replicator.cli.main", "notify", "test", "--config", str(settings), *args]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


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
        (f'[[notify]]\nname = "a"\nurl = "json://h/{SECRET}"\nenabled = false', "disabled"),
    ],
)
def test_wrong_settings_exit_2_with_a_reason_and_without_the_secret(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "zsr.toml"
    path.write_text(f'node = "alpha"\n{text}')
    status, words = zsr_fails(path)
    assert status == 2
    assert said in words
    assert SECRET not in words


def test_a_missing_file_and_an_unknown_name_exit_2(tmp_path: Path) -> None:
    status, words = zsr_fails(tmp_path / "none.toml")
    assert (status, "There is no file" in words) == (2, True)
    status, words = zsr_fails(write(tmp_path, hook(9)), "nobody")
    assert (status, "Configured are: hook" in words) == (2, True)


class TestLogResendAndExplain:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Path:
        quiet = 'match = { guest = 101 }\nquiet = { window = "00:00-24:00", below = "critical" }'
        tables = [hook(9), hook(9, "web", quiet), hook(9, "off", "enabled = false")]
        path = tmp_path / "zsr.toml"
        top = f'node = "alpha"\nstate_dir = "{tmp_path}"\n[cluster]\npath = "{tmp_path}/cluster.toml"\n'
        path.write_text(top + "".join(f"[[notify]]\n{table}\n" for table in tables))
        (tmp_path / "cluster.toml").write_text(CLUSTER)
        return path

    @pytest.fixture
    def memory(self, settings: Path) -> Iterator[SqlitePluginStore]:
        with closing(State.open(settings.parent / "state.db")) as state:
            yield state.plugin_store("notify")

    @staticmethod
    def entry(number: int, reason: str = "") -> Entry:
        subject = Subject(JobId(100, 0), 100, "web", "alpha", "beta", error_class="zfs", consecutive=1)
        notice = Notice(f"k{number}", NoticeKind.FAILED, Severity.WARNING, 5.0, "alpha", "t", subjects=(subject,))
        return Entry(number, notice, float(number), attempts=1 if reason else 0, reason=reason)

    @staticmethod
    def zsr(settings: Path, *args: str) -> Result:
        return CliRunner().invoke(notify, [args[0], "--config", str(settings), *args[1:]])

    def test_the_log_lists_what_became_of_each_message(self, settings: Path, memory: SqlitePluginStore) -> None:
        memory.put_all(record_writes("hook", self.entry(1), DeliveryStatus.DELIVERED, 9.0))
        memory.put_all(record_writes("hook", self.entry(2, "It was refused."), DeliveryStatus.UNDELIVERED, 9.0))
        rows = self.zsr(settings, "log").output.splitlines()
        assert [row.split()[0] for row in rows] == ["ID", "hook-2", "hook-1"]
        assert "Guest 100 web: replication failed (zfs), to beta" in rows[2]
        failed = self.zsr(settings, "log", "--failed", "--format", "json")
        (only,) = json.loads(failed.output)
        assert (only["id"], only["result"], only["reason"]) == ("hook-2", "undelivered", "It was refused.")

    def test_resend_asks_the_daemon_for_a_message_that_is_remembered(
        self, settings: Path, memory: SqlitePluginStore
    ) -> None:
        memory.put_all(record_writes("hook", self.entry(1), DeliveryStatus.DELIVERED, 9.0))
        memory.put(key_of("hook"), state_json(TargetState(0)))
        assert self.zsr(settings, "resend", "hook-1").exit_code == 0
        assert list(memory.items(RESEND)) == ["resend/hook-1"]

    @pytest.mark.parametrize("name", ["hook-7", "hook", "nobody-1", "1"])
    def test_resend_refuses_what_is_not_there(self, settings: Path, memory: SqlitePluginStore, name: str) -> None:
        memory.put(key_of("hook"), state_json(TargetState(0)))
        result = self.zsr(settings, "resend", name)
        assert isinstance(result.exception, ConfigError)
        assert memory.items(RESEND) == {}

    def test_explain_says_which_targets_would_be_notified_and_why_not(self, settings: Path) -> None:
        said = self.zsr(
            settings, "explain", "--event", "failed", "--job", "100-0", "--target", "beta", "--format", "json"
        )
        assert {each["target"]: each["sent"] for each in json.loads(said.output)} == {
            "hook": "yes",
            "web": "no",
            "off": "no",
        }
        assert "guest 100 is not one of 101" in said.output

    def test_explain_says_until_when_quiet_hours_hold_it(self, settings: Path) -> None:
        asked = ["explain", "--event", "failed", "--job", "101-0", "--target", "beta", "--format", "json"]
        sent = {each["target"]: each["sent"] for each in json.loads(self.zsr(settings, *asked).output)}
        assert sent["web"] == "later"
        critical = json.loads(self.zsr(settings, *asked, "--severity", "critical").output)
        assert {each["target"]: each["sent"] for each in critical}["web"] == "yes"

    def test_explain_says_that_the_short_form_of_quiet_hours_holds_pages_too(self, settings: Path) -> None:
        with settings.open("a") as file:
            file.write("[[notify]]\n" + hook(9, "short", 'quiet = "00:00-24:00"') + "\n")
        said = self.zsr(settings, "explain", "--event", "rpo-breached", "--format", "json")
        (verdict,) = (each for each in json.loads(said.output) if each["target"] == "short")
        assert verdict["sent"] == "later"
        assert verdict["why"].endswith('which hold critical messages too; below = "critical" lets them through')

    def test_explain_says_that_a_target_of_pings_gets_no_messages(self, settings: Path) -> None:
        with settings.open("a") as file:
            file.write('[[notify]]\nname = "hc"\nping = "https://hc.example.org/{job}"\n')
        said = self.zsr(settings, "explain", "--event", "digest", "--format", "json")
        (verdict,) = (each for each in json.loads(said.output) if each["target"] == "hc")
        assert (verdict["sent"], verdict["why"]) == ("no", "it is pinged for each run and gets no messages")
