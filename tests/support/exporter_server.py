"""An exporter's server under test, its certificates and its clients."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import bcrypt
import pytest
import trustme
from aiohttp import ClientError, ClientSession, TCPConnector, encode_basic_auth

from exporter.addresses import Listen
from exporter.server import Server, serving
from exporter.settings import Settings
from tests.support.statuses import FakeCore

LOOPBACK = Listen("127.0.0.1", 0)
TLS_END_SECONDS = 0.25
"""How long connections whose TLS failed may take to close; one that is open when the test ends fails it."""
ALICE = encode_basic_auth("alice", "wonderland")


def hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


class Certificates:
    """A CA, a certificate of this machine from it, and a web-config.yml that names them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "web-config.yml"
        self.ca = trustme.CA()
        self.renew()

    def renew(self) -> None:
        """Replace the certificate by one of a new CA."""
        self.ca = trustme.CA()
        self.ca.cert_pem.write_to_path(self.folder / "ca.crt")
        issued = self.ca.issue_cert("127.0.0.1")
        for name, blob in (("node.key", issued.private_key_pem), ("node.crt", issued.cert_chain_pems[0])):
            blob.write_to_path(self.folder / f"{name}.new")
            (self.folder / f"{name}.new").replace(self.folder / name)

    def write(self, text: str = "", more_tls: str = "") -> Path:
        """Write the file: TLS with these certificates, and more."""
        tls = f"tls_server_config:\n  cert_file: node.crt\n  key_file: node.key\n{more_tls}"
        return self.replace(tls + text)

    def replace(self, text: str) -> Path:
        """Replace the file as an editor does."""
        fresh = self.folder / "fresh"
        fresh.write_text(text)
        return fresh.replace(self.config)

    def client(self, *names: str) -> ssl.SSLContext:
        """A client that trusts the CA; with a certificate of these names if there are any."""
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        if names:
            self.ca.issue_cert(*names).configure_cert(context)
        return context


@asynccontextmanager
async def running(core: FakeCore, settings: Settings) -> AsyncIterator[Server]:
    """The server, following changes of its files."""
    async with serving(core, settings) as server:
        following = asyncio.ensure_future(server.follow())
        try:
            yield server
            assert not following.done()
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
    if settings.web_config:
        await asyncio.sleep(TLS_END_SECONDS)


async def answer(
    server: Server, path: str = "/metrics", *, tls: ssl.SSLContext | None = None, auth: str | None = None
) -> int:
    """The status of an answer over a connection of its own."""
    url = f"{'https' if tls else 'http'}://{server.addresses[0]}{path}"
    headers = {"Authorization": auth} if auth else {}
    async with (
        ClientSession(connector=TCPConnector(ssl=tls or True)) as session,
        session.get(url, headers=headers) as response,
    ):
        return response.status


async def body(server: Server, path: str = "/metrics", *, tls: ssl.SSLContext) -> str:
    """The text of an answer over a connection of its own."""
    async with (
        ClientSession(connector=TCPConnector(ssl=tls)) as session,
        session.get(f"https://{server.addresses[0]}{path}") as response,
    ):
        return await response.text()


async def until_answered(server: Server, status: int, *, tls: ssl.SSLContext | None, auth: str | None = None) -> None:
    """Wait until a new connection is answered with this status."""
    async with asyncio.timeout(30):
        while True:
            with suppress(ClientError, ConnectionError):
                if await answer(server, tls=tls, auth=auth) == status:
                    return
            await asyncio.sleep(0.02)


async def logged(log: pytest.LogCaptureFixture, words: str) -> None:
    """Wait until these words are in the log."""
    async with asyncio.timeout(30):
        while words not in log.text:  # noqa: ASYNC110 - a log notifies no waiter
            await asyncio.sleep(0.02)
