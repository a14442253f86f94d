"""The ``[[notify]]`` tables: what is a target, what is wrong, and that a URL is never shown."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from alerts.channels.apprise import make_service
from alerts.channels.settings import ServiceSettings
from alerts.plugin import AlertsPlugin
from alerts.secrets import Secret
from alerts.targets import Target, read_targets
from replicator.api.plugin import InspectingPlugin

URL = "json://bob:hunter2-secret@example.org/t0ken-in-path"
SECRETS = ("bob", "hunter2-secret", "example.org", "t0ken-in-path")


def problems(settings: object, **environ: str) -> list[str]:
    return [str(problem) for problem in AlertsPlugin(environ=environ).check({"notify": settings})]


def write_secret(path: Path, text: str = URL, mode: int = 0o600) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize("settings", [None, []])
def test_no_targets_are_no_problem(settings: object) -> None:
    assert problems(settings) == []


def test_a_url_may_stand_in_the_settings_a_file_or_the_environment(tmp_path: Path) -> None:
    file = write_secret(tmp_path / "with a space", f"\n{URL}\n")
    settings = [
        {"name": "here", "url": URL},
        {"name": "file", "url_file": file},
        {"name": "env", "url_env": "ZSR_HOOK", "enabled": False},
    ]
    targets, wrong = read_targets(settings, {"ZSR_HOOK": URL})
    assert wrong == ()
    assert [(target.name, target.channel, target.enabled) for target in targets] == [
        ("here", ServiceSettings(Secret(URL)), True),
        ("file", ServiceSettings(Secret(URL, f"file:{file}")), True),
        ("env", ServiceSettings(Secret(URL, "env:ZSR_HOOK")), False),
    ]


def test_all_that_is_wrong_is_reported_at_once(tmp_path: Path) -> None:
    found = problems(
        [
            {"name": "Bad Name", "url": URL},
            {"url": URL},
            {"name": "both", "url": URL, "url_env": "X"},
            {"name": "none"},
            {"name": "both", "url": URL, "enabled": "yes", "uri": URL},
            {"name": "unset", "url_env": "ZSR_UNSET"},
            {"name": "missing", "url_file": str(tmp_path / "missing")},
            "no table",
        ]
    )
    keys = [text.split(" = ")[0].removeprefix("notify.") for text in found]
    assert keys == [
        "0.name",
        "1.name",
        "2.url",
        "3.url",
        "4.name",
        "4.uri",
        "4.enabled",
        "5.url_env",
        "6.url_file",
        "7",
    ]


def test_what_means_nothing_for_pings_is_a_problem() -> None:
    table = {
        "name": "hc",
        "ping": "https://hc.example.org/{job}",
        "quiet": "22:00-07:00",
        "repeat": {},
        "digest": "off",
    }
    found = problems([{**table, "match": {"guest": 100, "event": "failed", "severity": "info"}}])
    keys = ["quiet", "repeat", "digest", "match.severity", "match.event"]
    assert [text.split(" = ")[0] for text in found] == [f"notify.0.{key}" for key in keys]


def test_all_three_sections_are_checked_at_once() -> None:
    sections = {"notify": [{}], "notify_messages": {"page": "x"}, "notify_receiver": {"listen": "x", "token": "t"}}
    found = [problem.key for problem in AlertsPlugin(environ={}).check(sections)]
    assert found == ["notify.0.name", "notify.0.url", "notify_messages.page", "notify_receiver.listen"]


def test_a_broken_template_is_found_by_config_check_and_keeps_no_daemon_from_starting(tmp_path: Path) -> None:
    (tmp_path / "failed.txt").write_text("{{ nobody }}")
    plugin, sections = AlertsPlugin(environ={}), {"notify_messages": {"templates": str(tmp_path)}}
    assert isinstance(plugin, InspectingPlugin)
    assert plugin.check(sections) == []
    (problem,) = plugin.inspect(sections)
    assert (problem.key, problem.value) == ("notify_messages.templates", "failed.txt")
    assert plugin.inspect({}) == []


def test_a_section_that_is_no_list_is_a_problem() -> None:
    assert "[[notify]]" in problems({"name": "mail", "url": URL})[0]


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o666, 0o602])
def test_a_secret_file_that_others_may_open_is_a_problem(tmp_path: Path, mode: int) -> None:
    (problem,) = problems([{"name": "hook", "url_file": write_secret(tmp_path / "url", mode=mode)}])
    assert f"{mode:04o}" in problem
    assert "chmod 0600" in problem


@pytest.mark.parametrize("text", ["", "\n\n", f"{URL}\n{URL}\n", "json://\udcff"])
def test_a_secret_file_holds_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "url"
    path.write_bytes(text.encode(errors="surrogateescape"))
    path.chmod(0o600)
    assert "one line" in problems([{"name": "hook", "url_file": str(path)}])[0]


def test_a_pipe_in_place_of_a_secret_file_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "a plain file" in problems([{"name": "hook", "url_file": str(tmp_path / "pipe")}])[0]


def test_a_socket_in_place_of_a_secret_file_is_a_problem(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        assert "can read" in problems([{"name": "hook", "url_file": str(tmp_path / "s")}])[0]


@pytest.mark.parametrize(
    "url",
    [
        "hunter2-secret",
        "jsom://bob:hunter2-secret@example.org/t0ken-in-path",
        "mailtos://bob:hunter2-secret@",
        "mailtos://bob:hunter2-secret@example.org?from=zsr@example.org&to=t0ken-in-path",
        "json://",
        "slack://hunter2-secret",
        "json://[hunter2-secret/t0ken-in-path",
        "json://bob:hunter2-secret@example.org:t0ken-in-path/",
        "hunter2-secret://example.org",
    ],
)
def test_a_url_that_apprise_does_not_understand_is_a_problem_and_never_shown(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    (problem,) = problems([{"name": "hook", "url": url}])
    assert problem.startswith("notify.0.url = ")
    assert [secret for secret in SECRETS if secret in problem.replace("admin@example.org", "")] == []
    assert [secret for secret in SECRETS if secret in caplog.text] == []


@pytest.mark.parametrize("key", ["name", "url_env", "url_file", "enabled", URL])
def test_a_url_in_the_wrong_place_is_not_shown_either(key: str) -> None:
    found = problems([{"name": "hook", key: URL}])
    assert found
    assert [secret for secret in SECRETS if any(secret in text for text in found)] == []


def test_the_scheme_says_which_url_is_meant() -> None:
    (problem,) = problems([{"name": "hook", "url": "mailtos://bob:hunter2-secret@"}])
    assert "mailtos://…" in problem


def test_a_target_does_not_show_its_url_in_a_traceback() -> None:
    assert [secret for secret in SECRETS if secret in repr(Target("hook", ServiceSettings(Secret(URL))))] == []


def test_a_service_neither_follows_redirects_nor_is_optional_whatever_its_url_says() -> None:
    service = make_service(f"{URL}?redirect=yes&optional=yes")
    assert service is not None
    assert (service.redirects, service.optional) == (False, False)


def test_only_alertmanager_gets_broken_promises_that_another_message_implies() -> None:
    tables = [
        {"name": "am", "alertmanager": "http://127.0.0.1:9093"},
        {"name": "hook", "webhook": "https://tickets.example.org/zsr"},
    ]
    targets, problems = read_targets(tables, {})
    assert problems == ()
    assert {target.name: target.route.every_promise for target in targets} == {"am": True, "hook": False}
