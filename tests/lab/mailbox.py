"""A real SMTP server that lab nodes reach, in a thread of the test's own, and a wait for its mails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiosmtpd.smtp import SMTP

from tests.lab.lab import Lab
from tests.support.mailserver import MailServer


@contextmanager
def mailbox(lab: Lab) -> Iterator[MailServer]:
    """Serve plain SMTP at the test's address in the lab while the body runs."""
    server = MailServer()
    listening = lab.listen()
    server.port = listening.getsockname()[1]
    loop = asyncio.new_event_loop()
    clients: list[SMTP] = []

    def protocol() -> SMTP:
        clients.append(SMTP(server, hostname="mail.test", loop=loop))
        return clients[-1]

    async def begin() -> asyncio.Server:
        return await loop.create_server(protocol, sock=listening)

    async def finish() -> None:
        serving.close()
        for client in clients:
            if isinstance(client.transport, asyncio.Transport):  # a node's connection may be open still
                client.transport.abort()
        handlers = asyncio.all_tasks() - {asyncio.current_task()}
        for handler in handlers:
            handler.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)

    thread = threading.Thread(target=loop.run_forever, name="mailbox")
    thread.start()
    serving = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(finish(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
