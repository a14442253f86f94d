"""The keys of a ``[[notify]]`` table that choose its channel, and their secrets.

One of ``url`` (apprise and mail; ``url_file`` and ``url_env`` are older spellings of ``file:`` and ``env:``),
``webhook``, ``alertmanager`` and ``ping``; each of them, and each key, token and header, may be a reference
(`alerts.secrets`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never
from urllib.parse import urlsplit

from alerts.channels.alertmanager import AlertmanagerSettings
from alerts.channels.healthchecks import ping_problem
from alerts.channels.webhook import JSON, WebhookSettings
from alerts.secrets import Secret, SecretError, read_secret
from replicator.api.problem import Problem

KIND_KEYS = ("url", "url_file", "url_env", "webhook", "alertmanager", "ping")
WEBHOOK_KEYS = ("secret", "headers", "body", "content_type", "method")
ALERTMANAGER_KEYS = ("token",)
CHANNEL_KEYS = (*KIND_KEYS, *WEBHOOK_KEYS, *ALERTMANAGER_KEYS)

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", re.ASCII)
_TYPE = re.compile(r"[a-z]+/[A-Za-z0-9.+-]+(; ?charset=[A-Za-z0-9-]+)?", re.ASCII)
_OUR_HEADERS = frozenset({"content-length", "content-type", "host", "idempotency-key", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """A URL of apprise; mail URLs too."""

    url: Secret


@dataclass(frozen=True, slots=True)
class PingSettings:
    """A URL for pings (`alerts.channels.healthchecks`)."""

    url: Secret


ChannelConfig = ServiceSettings | WebhookSettings | AlertmanagerSettings | PingSettings


def secrets_of_channel(channel: ChannelConfig) -> frozenset[str]:
    """All that must not be shown of a channel's settings."""
    match channel:
        case WebhookSettings() | AlertmanagerSettings():
            return channel.secrets
        case ServiceSettings() | PingSettings():
            return channel.url.derived
    assert_never(channel)


def read_channel(table: Mapping[str, object], environ: Mapping[str, str]) -> tuple[ChannelConfig | None, list[Problem]]:
    """The channel's settings and their problems; keys come without the table's number. Reads files, sends nothing.

    Whether apprise understands a URL is checked elsewhere.
    """
    given = [key for key in KIND_KEYS if key in table]
    if len(given) != 1:
        shown = " and ".join(given) or "(missing)"
        return None, [Problem("url", shown, f"exactly one of {', '.join(KIND_KEYS)}")]
    kind = given[0]
    reader = _TableReader(table, environ, [])
    url = reader.url(kind)
    allowed = {"webhook": WEBHOOK_KEYS, "alertmanager": ALERTMANAGER_KEYS}.get(kind, ())
    for key in (*WEBHOOK_KEYS, *ALERTMANAGER_KEYS):
        if key in table and key not in allowed:
            where = "webhook" if key in WEBHOOK_KEYS else "alertmanager"
            reader.problems.append(Problem(key, "(not shown)", f"only together with {where}"))
    made: ChannelConfig | None = None
    if kind == "webhook":
        made = reader.webhook(url)
    elif kind == "alertmanager":
        token = reader.secret("token") if "token" in table else None
        if token and url and "@" in urlsplit(url.text).netloc:
            reader.problems.append(Problem("token", "(not shown)", "not together with user and password in the URL"))
        made = AlertmanagerSettings(url, token) if url else None
    elif kind == "ping":
        made = PingSettings(url) if url else None
    else:
        made = ServiceSettings(url) if url else None
    return (None if reader.problems else made), reader.problems


@dataclass(slots=True)
class _TableReader:
    """Reads one table; ``problems`` are those found so far."""

    table: Mapping[str, object]
    environ: Mapping[str, str]
    problems: list[Problem]

    def secret(self, key: str, value: object = None) -> Secret | None:
        try:
            return read_secret(self.table[key] if value is None else value, self.environ)
        except SecretError as error:
            self.problems.append(Problem(key, error.value, error.allowed))
            return None

    def url(self, kind: str) -> Secret | None:
        prefix = {"url_file": "file:", "url_env": "env:"}.get(kind, "")
        value = self.table[kind]
        url = self.secret(kind, f"{prefix}{value}" if prefix and isinstance(value, str) else value)
        if url is None or kind in {"url", "url_file", "url_env"}:
            return url
        wrong = ping_problem(url.text) if kind == "ping" else _http_problem(url.text)
        if wrong:
            self.problems.append(Problem(kind, "(not shown)", wrong))
        return None if wrong else url

    def webhook(self, url: Secret | None) -> WebhookSettings | None:
        body, content_type = self.table.get("body"), self.table.get("content_type", JSON)
        method = self.table.get("method", "POST")
        if body is not None and not (isinstance(body, str) and body.startswith("/") and Path(body).is_file()):
            self.problems.append(Problem("body", repr(body)[:100], "the absolute path of a template that is there"))
        if not isinstance(content_type, str) or not _TYPE.fullmatch(content_type):
            self.problems.append(Problem("content_type", repr(content_type)[:100], f'a media type, like "{JSON}"'))
        if method not in {"POST", "PUT"}:
            self.problems.append(Problem("method", "(not shown)", "POST or PUT"))
        key = self.secret("secret") if "secret" in self.table else None
        headers = dict(self.headers())
        if url and "@" in urlsplit(url.text).netloc and "authorization" in map(str.lower, headers):
            self.problems.append(
                Problem("headers", "(not shown)", "no Authorization together with user and password in the URL")
            )
        if self.problems or url is None:
            return None
        return WebhookSettings(
            url, key, headers, Path(body) if isinstance(body, str) else None, str(content_type), str(method)
        )

    def headers(self) -> Iterator[tuple[str, Secret]]:
        given = self.table.get("headers", {})
        if not isinstance(given, Mapping):
            self.problems.append(Problem("headers", "(not shown)", 'a table, like { Authorization = "env:TOKEN" }'))
            return
        for name, value in given.items():
            if not _HEADER.fullmatch(str(name)) or str(name).lower() in _OUR_HEADERS:
                self.problems.append(Problem("headers", "(not shown)", "names of headers that zsr does not set itself"))
                continue
            secret = self.secret("headers", value if value is not None else "")
            if secret is not None and not secret.text.isprintable():
                self.problems.append(Problem("headers", f"{name} = (not shown)", "printable characters"))
            elif secret is not None:
                yield str(name), secret


def _http_problem(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    return "" if is_valid else "an http or https URL"
