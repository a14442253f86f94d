"""The third machine of docs/five-minutes.md: a real Prometheus and a real mail server, which two bare Debians reach."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.support.mailserver import MailServer, mail_server
from tests.support.prometheus import binary
from tests.support.two_debians import WATCHER, Host, TwoDebians

LOGIN = ("zsr", "secret")
PATIENCE = 30.0
PROMETHEUS = f"{WATCHER}:9090"
SUBMISSION = 587


@dataclass(frozen=True)
class Watcher:
    """What runs there; ``mail``: what arrived."""

    hosts: TwoDebians
    mail: MailServer
    settings: Path
    prometheus: subprocess.Popen[bytes]

    def read_job(self, printed: str) -> None:
        """Put the job that setup printed below ``scrape_configs``, and let Prometheus read it."""
        (job,) = re.findall(r"^  - job_name: zsr.*\n(?:    .*\n)*", printed, re.MULTILINE)
        self.settings.write_text(f"global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n{job}")
        self.prometheus.send_signal(signal.SIGHUP)

    def scraped(self, series: str) -> list[dict[str, str]]:
        """Return the labels of each series of that name, once there is one."""
        end = time.monotonic() + PATIENCE
        while True:
            answer = json.loads(self.hosts.lab.http_get(f"http://{PROMETHEUS}/api/v1/query?query={quote(series)}"))
            found = [each["metric"] for each in answer["data"]["result"]]
            if found or time.monotonic() > end:
                return found
            time.sleep(0.2)


@asynccontextmanager
async def watcher(hosts: TwoDebians, folder: Path) -> AsyncIterator[Watcher]:
    """Run both while the context lasts; alpha trusts the mail server's authority. Prometheus scrapes nothing yet."""
    settings = folder / "prometheus.yml"
    settings.touch()
    argv = [binary("prometheus"), f"--config.file={settings}", f"--storage.tsdb.path={folder}/tsdb"]
    listener = hosts.lab.namespace.listen(WATCHER, SUBMISSION)
    async with mail_server(folder, login=LOGIN, hostname="mail.example.org", listener=listener) as mail:
        _trust(hosts.alpha, mail.ca_file)
        with (folder / "prometheus.log").open("wb") as log:
            process = hosts.lab.popen([*argv, f"--web.listen-address={PROMETHEUS}"], stdout=log, stderr=log)
            try:
                yield Watcher(hosts, mail, settings, process)
            finally:
                process.terminate()
                process.wait()


def _trust(host: Host, authority: Path) -> None:
    """Do what update-ca-certificates takes many seconds for."""
    host.put(authority, "ca.pem")
    host.run("cp /root/ca.pem /etc/ssl/certs/$(openssl x509 -noout -hash -in /root/ca.pem).0")
