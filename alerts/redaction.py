"""Keeps the parts of notification URLs out of every log, error and table.

An apprise URL is a secret as a whole: its host may be a token (Slack), its path (ntfy, webhooks), its query or a
header. apprise masks only user passwords, shortens other parts (``t...n``) so that they cannot be replaced, and at
DEBUG logs whole payloads. So none of its records is passed on; they are collected here to explain a failure. The
records of its HTTP library are passed on from INFO up, with every part of a configured URL replaced.
"""

from __future__ import annotations

import base64
import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from replicator.models import GuestId

MASK = "***"

GUARDED_LOGGERS = ("apprise", "urllib3", "urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry")
"""Loggers whose records may hold parts of a URL; a filter works only on the very logger that is written to."""

_SEPARATORS = re.compile(r"[/?&=@:;,+\s]+")
_SHORTEST = 4
_SHORTEST_USER = 3
_HARMLESS = frozenset(
    {"false", "form", "format", "from", "html", "insecure", "json", "markdown", "method", "mode", "name", "post"}
    | {"redirect", "retry", "smtp", "starttls", "text", "timeout", "true", "user", "verify", "wait", "authorization"}
    | {"auto-submitted", "auto-generated", "x-token", "token", "bearer", "localhost", "127.0.0.1"}
)


def secrets_of(url: str) -> frozenset[str]:
    """All parts of a URL that must not be shown: as written, decoded, re-encoded, and as basic authentication.

    Words that say nothing (``starttls``, ``format``) and parts under four characters outside the user information are
    left out; masking those would only make sentences unreadable.
    """
    rest = url.partition("://")[2] or url
    login = rest.split("/", 1)[0].rpartition("@")[0]
    found = {rest, unquote(rest)}
    for text in (rest, unquote(rest), unquote_plus(rest)):
        found.update(_SEPARATORS.split(text))
    for part in _SEPARATORS.split(rest):
        found.update((unquote(part), unquote_plus(part)))
    found = {part for part in found if len(part) >= _SHORTEST and part.lower() not in _HARMLESS}
    if login:
        user, _, password = login.partition(":")
        plain = f"{unquote(user)}:{unquote(password)}".encode()
        found.update((login, base64.b64encode(plain).decode()))
        found.update(part for part in (password, unquote(password)) if part)
        found.update(part for part in (user, unquote(user)) if len(part) >= _SHORTEST_USER)
    found.update({quote(part, safe="") for part in found} | {quote_plus(part) for part in found})
    return frozenset(found)


def redact(text: str, secrets: frozenset[str]) -> str:
    """Replace every secret in a text, in upper or lower case (libraries change a host's), the longest match first."""
    if not secrets:
        return text
    longest_first = sorted(secrets, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest_first)), MASK, text, flags=re.IGNORECASE)


class RedactingFilter(logging.Filter):
    """Drops records with secrets, of apprise or below INFO; a listener gets the texts of its thread."""

    def __init__(self, secrets: frozenset[str]) -> None:
        super().__init__()
        self._secrets = secrets
        self._listeners: dict[GuestId, list[str]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact a record in place; False (drop it) for DEBUG and below, and for all of apprise's."""
        lines = self._listeners.get(threading.get_ident())
        is_passed_on = record.levelno >= logging.INFO and record.name != "apprise"
        if lines is None and not is_passed_on:
            return False
        text = redact(record.getMessage(), self._secrets)
        if lines is not None:
            lines.append(text)
        if record.exc_info:
            text += "\n" + redact(logging.Formatter().formatException(record.exc_info), self._secrets)
        record.msg, record.args, record.exc_info, record.exc_text, record.stack_info = text, (), None, None, None
        return is_passed_on

    @contextmanager
    def listening(self) -> Iterator[list[str]]:
        """Collect what the guarded loggers log in this thread (already redacted, DEBUG included)."""
        lines: list[str] = []
        self._listeners[threading.get_ident()] = lines
        try:
            yield lines
        finally:
            del self._listeners[threading.get_ident()]


@contextmanager
def guarded_logs(secrets: frozenset[str]) -> Iterator[RedactingFilter]:
    """Guard the loggers of apprise and its HTTP library as long as the block lasts.

    apprise's own logger is opened down to DEBUG, because only there it says why a connection failed; the filter is what
    keeps these records from every handler.
    """
    guard = RedactingFilter(secrets)
    loggers = [logging.getLogger(name) for name in GUARDED_LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addFilter(guard)
        logger.setLevel(logging.DEBUG if logger.name == "apprise" else logging.INFO)
    try:
        yield guard
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeFilter(guard)
            logger.setLevel(level)
