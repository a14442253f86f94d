"""The monitoring of the lab: a real Prometheus and a real Alertmanager in its network, and the admin's inboxes.

Made quick, and no further: scraped and evaluated each second, ``for`` divided by 60 (`demo.prometheus.hurried`),
messages collected for one second. Every expression, label, annotation and inhibition is the shipped one.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from demo.prometheus import (
    alertmanager_command,
    alertmanager_settings,
    hurried,
    prometheus_command,
    prometheus_settings,
    shipped_rules,
)
from demo.servers import end
from tests.lab.lab import Lab
from tests.support.mailserver import MailServer
from tests.support.prometheus import binary

HURRY = 60
_PATIENCE = 60.0


@dataclass
class Webhook:
    """What Alertmanager posted: single alerts in the order of their arrival, each with its ``status``."""

    alerts: list[dict[str, Any]] = field(default_factory=list)

    def told(self, status: str) -> list[str]:
        """The names of the alerts that came as ``firing`` or ``resolved``."""
        return [alert["labels"]["alertname"] for alert in self.alerts if alert["status"] == status]


@contextmanager
def webhook(lab: Lab) -> Iterator[tuple[Webhook, str]]:
    """A receiver at the test's address in the lab, and its URL."""
    box = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            box.alerts.extend(body["alerts"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    listening = lab.listen()
    server = ThreadingHTTPServer(("", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listening
    thread = threading.Thread(target=server.serve_forever, name="webhook")
    thread.start()
    try:
        yield box, f"http://{lab.host_ip}:{listening.getsockname()[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True)
class Watch:
    """The watchers at work, and what reached the admin."""

    lab: Lab
    prometheus: str
    mail: MailServer
    hook: Webhook

    def ask(self, path: str, **parameters: str) -> Any:
        """The ``data`` of an answer of Prometheus' API."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        return json.loads(self.lab.namespace.http_get(f"http://{self.prometheus}/api/v1/{path}{query}"))["data"]

    def firing(self) -> set[str]:
        """The names of the alerts that fire in Prometheus now, without the one that always does."""
        found = {each["labels"]["alertname"] for each in self.ask("alerts")["alerts"] if each["state"] == "firing"}
        return found - {"ZsrWatchdog"}

    def mails(self, status: str) -> list[str]:
        """The subjects of Alertmanager's mails that are ``firing`` or ``resolved``."""
        subjects = [str(received.message["Subject"]) for received in self.mail.received]
        return [subject for subject in subjects if subject.startswith(f"[{status.upper()}")]

    def until(self, holds: Callable[[], bool], what: str, *, patience: float = 240.0) -> float:
        """Wait until something holds; the moment (`time.time`) at which it did."""
        deadline = time.monotonic() + patience
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"not within {patience:.0f} s: {what}\nfiring: {self.firing()}\nposted: {self.hook.alerts}\n"
                    f"mails: {self.mails('firing')} {self.mails('resolved')}"
                )
            time.sleep(0.1)
        return time.time()


@contextmanager
def watching(lab: Lab, folder: Path, targets: Sequence[str], mail: MailServer) -> Iterator[Watch]:
    """Scrape ``host:port`` targets in the lab while the context lasts; the admin is notified by mail and webhook."""
    scraper, watcher = f"{lab.host_ip}:9090", f"{lab.host_ip}:9093"
    with ExitStack() as stack:
        hook, url = stack.enter_context(webhook(lab))
        to_admin = {
            "to": "admin@site.test",
            "from": "alertmanager@site.test",
            "smarthost": f"{lab.host_ip}:{mail.port}",
            "require_tls": False,
        }
        alerting = alertmanager_command(
            binary("prometheus-alertmanager"), folder, alertmanager_settings(webhook=url, mail=to_admin), watcher
        )
        settings = prometheus_settings(targets, rules=_rules(folder), alertmanagers=[watcher])
        scraping = prometheus_command(binary("prometheus"), folder, settings, scraper)
        for name, command, address in (("alertmanager", alerting, watcher), ("prometheus", scraping, scraper)):
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            process = lab.popen(command, stdout=log, stderr=log)
            stack.callback(end, process)
            _until_ready(lab, process, address, folder / f"{name}.log")
        yield Watch(lab, scraper, mail, hook)


def _rules(folder: Path) -> list[Path]:
    """The shipped rules, hurried."""
    files = []
    for path in shipped_rules():
        file = folder / path.name
        file.write_text(yaml.safe_dump(hurried(yaml.safe_load(path.read_text()), interval="1s", times=HURRY)))
        files.append(file)
    return files


def _until_ready(lab: Lab, process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            lab.namespace.http_get(f"http://{address}/-/ready")
        except (OSError, AssertionError):
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"{address} does not answer:\n{log.read_text()}")
