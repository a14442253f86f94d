"""The section [exporter]: accepted values, and the errors for wrong ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.addresses import Activated, Address, Listen, UnixListen, parse_listen
from exporter.plugin import ExporterPlugin
from exporter.settings import Settings, read_settings
from replicator.api.plugin import Plugin


def test_the_plugin_is_what_the_core_expects() -> None:
    assert isinstance(ExporterPlugin(), Plugin)
    assert ExporterPlugin.sections == ("exporter",)


@pytest.mark.parametrize("section", [None, {}])
def test_an_absent_or_empty_section_means_the_defaults(section: object) -> None:
    assert ExporterPlugin().check({"exporter": section}) == []
    assert read_settings(section) == Settings(listen=(Listen("127.0.0.1", 9847),), enabled=True)


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("127.0.0.1:9847", Listen("127.0.0.1", 9847)),
        ("[::1]:9847", Listen("::1", 9847)),
        (":9847", Listen(None, 9847)),
        ("localhost:1", Listen("localhost", 1)),
        ("node-1.example.org:65535", Listen("node-1.example.org", 65535)),
    ],
)
def test_an_address_is_read_and_written_the_same(text: str, listen: Listen) -> None:
    assert parse_listen(text) == listen
    assert str(listen) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "9847",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:http",
        "127.0.0.256:9847",
        "::1:9847",
        "[::1]",
        "[127.0.0.1]:9847",
        "http://127.0.0.1:9847",
        "127.0.0.1:9847/metrics",
        "a b:9847",
        "-node:9847",
        "127.0.0.1:９８４７",
        "127.0.0.1:9847\n",
    ],
)
def test_a_wrong_address_is_refused_with_what_is_allowed(text: str) -> None:
    (problem,) = ExporterPlugin().check({"exporter": {"listen": text}})
    assert problem.key == "exporter.listen"
    assert problem.value == repr(text)
    assert "[::1]:9847" in problem.allowed


@given(st.text())
def test_any_text_is_an_address_or_refused(text: str) -> None:
    listen = parse_listen(text)
    assert listen is None or parse_listen(str(listen)) == listen


@pytest.mark.parametrize(
    ("value", "listen"),
    [
        ("unix:/run/zsr/exporter.sock", (UnixListen("/run/zsr/exporter.sock"),)),
        ("systemd", (Activated(),)),
        (["[::1]:1", "unix:/run/a b/ü.sock"], (Listen("::1", 1), UnixListen("/run/a b/ü.sock"))),
    ],
)
def test_several_addresses_and_sockets_are_taken(value: object, listen: tuple[Address, ...]) -> None:
    found = read_settings({"listen": value})
    assert isinstance(found, Settings)
    assert found.listen == listen
    assert tuple(parse_listen(str(address)) for address in listen) == listen


@pytest.mark.parametrize("value", [[], [":1", ":1"], [":1", 2], ["unix:x"], ["unix:/"], ["unix:/" + "x" * 107], None])
def test_a_wrong_list_of_addresses_is_refused(value: object) -> None:
    (problem,) = ExporterPlugin().check({"exporter": {"listen": value}})
    assert problem.key == "exporter.listen"


@pytest.mark.parametrize("value", ["web-config.yml", "", 1, ["/etc/web-config.yml"]])
def test_the_web_configuration_is_named_by_an_absolute_path(value: object) -> None:
    (problem,) = ExporterPlugin().check({"exporter": {"web_config": value}})
    assert problem.key == "exporter.web_config"


def test_all_problems_are_reported_at_once() -> None:
    problems = ExporterPlugin().check({"exporter": {"listen": 9847, "enabled": "yes", "port": 1}})
    assert {problem.key for problem in problems} == {"exporter.listen", "exporter.enabled", "exporter.port"}


@pytest.mark.parametrize("section", ["127.0.0.1:9847", 9847, [], True])
def test_a_section_that_is_no_table_is_refused(section: object) -> None:
    (problem,) = ExporterPlugin().check({"exporter": section})
    assert "table" in problem.allowed
