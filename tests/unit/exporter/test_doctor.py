"""The check ``exporter`` of ``zsr doctor``, against a server that really listens, and against others."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

from aiohttp import web

from exporter.addresses import Activated, Address, Listen, UnixListen
from exporter.doctor import CHECK, answered, certificate_lines, examine
from exporter.plugin import ExporterPlugin
from exporter.server import Loaded, load
from exporter.settings import Settings
from replicator.api.certificate import Certificate
from replicator.api.doctor import Level, Line, Subject, Visit
from replicator.api.plugin import DoctorPlugin
from tests.support.exporter_server import LOOPBACK, Certificates, hashed, running
from tests.support.statuses import FakeCore

VISIT = Visit("alpha", ZoneInfo("UTC"), limit=5.0)
SUBJECT = Subject(CHECK, "alpha")
DAY = 86400.0


def free_address() -> Listen:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return Listen("127.0.0.1", int(free.getsockname()[1]))


async def asked(core: FakeCore, settings: Settings) -> Line:
    """The line about a running exporter."""
    async with running(core, settings) as server:
        (line,) = await examine(replace(settings, listen=tuple(server.addresses)), VISIT)
    return line


async def asked_at(*addresses: Address) -> list[Line]:
    """The lines about addresses at which no exporter of this test listens."""
    return await examine(Settings(addresses), VISIT)


async def test_one_that_answers_is_well(core: FakeCore) -> None:
    line = await asked(core, Settings((LOOPBACK,)))

    assert line.level is Level.OK
    assert line.text.endswith("/metrics answers.")


async def test_one_with_tls_and_a_password_is_well_and_neither_has_to_be_known(
    core: FakeCore, files: Certificates
) -> None:
    files.write(f"basic_auth_users: {{alice: {hashed('wonderland')}}}")

    line = await asked(core, Settings((LOOPBACK,), web_config=files.config))

    assert line.level is Level.OK
    assert line.text.startswith("https://127.0.0.1:")
    assert line.text.endswith("asks for a password.")


async def test_one_that_asks_for_a_clients_certificate_is_well(core: FakeCore, files: Certificates) -> None:
    files.write(more_tls="  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n")

    line = await asked(core, Settings((LOOPBACK,), web_config=files.config))

    assert line.level is Level.OK
    assert "client's certificate" in line.text


async def test_one_behind_a_unix_socket_is_asked_there(core: FakeCore, tmp_path: Path) -> None:
    assert (await asked(core, Settings((UnixListen(str(tmp_path / "x.sock")),)))).level is Level.OK


async def test_where_nothing_listens_is_a_failure_in_words() -> None:
    (line,) = await asked_at(free_address())

    assert line.level is Level.FAIL
    assert line.text.endswith("does not answer: connection refused.")


async def test_another_program_on_its_port_is_named_as_such() -> None:
    app = web.Application()
    runner = web.AppRunner(app)
    await runner.setup()
    address = free_address()
    await web.TCPSite(runner, "127.0.0.1", address.port).start()
    try:
        (line,) = await asked_at(address)
    finally:
        await runner.cleanup()

    assert line.level is Level.FAIL
    assert "another program" in line.text
    assert "ss -ltnp" in line.advice


async def test_one_that_hangs_is_a_failure_after_the_limit() -> None:
    ended = asyncio.Event()

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    (line,) = await examine(Settings((Listen("127.0.0.1", port),)), replace(VISIT, limit=0.3))
    ended.set()
    server.close()
    await asyncio.sleep(0.1)

    assert line.level is Level.FAIL
    assert "no answer within" in line.text


async def test_what_systemd_listens_on_and_what_is_switched_off_is_not_asked() -> None:
    (passed,) = await asked_at(Activated())
    (off,) = await examine(Settings(enabled=False), VISIT)

    assert passed.level is off.level is Level.OFF


async def test_a_wrong_web_configuration_is_a_failure(files: Certificates) -> None:
    files.write()
    (files.folder / "node.key").write_text("no key")

    (line,) = await examine(Settings((LOOPBACK,), web_config=files.config), VISIT)

    assert line.level is Level.FAIL
    assert "cannot be used" in line.text


def test_an_error_of_the_metrics_themselves_is_a_failure() -> None:
    assert answered(SUBJECT, "http://127.0.0.1:9847", 500, is_zsr=True).level is Level.FAIL


def test_a_certificate_that_ends_soon_is_a_warning_and_one_that_has_ended_a_failure(files: Certificates) -> None:
    files.write()
    now = time.time()
    loaded = load(files.config)

    def levels(*left: float) -> list[Level]:
        known = tuple(Certificate("node.crt", now - 365 * DAY, now + each * DAY) for each in left)
        return [line.level for line in certificate_lines(SUBJECT, replace(loaded, certificates=known), now)]

    assert levels(100) == []
    assert levels(10, -1) == [Level.WARN, Level.FAIL]
    assert list(certificate_lines(SUBJECT, Loaded(loaded.config), now)) == []


async def test_the_plugin_offers_it() -> None:
    plugin = ExporterPlugin()
    assert isinstance(plugin, DoctorPlugin)

    (line,) = await plugin.examine(CHECK, {"exporter": {"enabled": False}}, VISIT)

    assert line.level is Level.OFF
