"""Secrets outside the settings: ``file:/path``, ``env:NAME``, ``credential:NAME``; any other text is the secret itself.

Accepted wherever settings ask for a URL, a token or a key. Nothing here shows a secret: errors name the file or the
variable, and a `Secret` shows neither itself nor its length.
"""

from __future__ import annotations

import base64
import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

from alerts.redaction import MASK, secrets_of
from replicator.config.problems import kind_of

CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""The variable in which systemd says where a service's credentials are (systemd.exec(5), LoadCredential=)."""
LARGEST = 65_536

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CREDENTIAL = re.compile(r"[A-Za-z0-9_.-]{1,255}")


class SecretError(Exception):
    """A secret cannot be read: the setting (without a secret), and the allowed values."""

    def __init__(self, value: str, allowed: str) -> None:
        super().__init__(f"{value}: {allowed}")
        self.value = value
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that is never shown. ``source`` says where it comes from: ``settings``, or e.g. ``file:/etc/zsr/key``."""

    text: str = field(repr=False)
    source: str = "settings"

    def __str__(self) -> str:
        return MASK

    def __format__(self, _: str) -> str:
        return MASK

    @property
    def derived(self) -> frozenset[str]:
        """All forms in which it may appear: as it is, quoted, in base 64, in hexadecimal; of a URL every part."""
        if "://" in self.text:
            return secrets_of(self.text)
        raw = self.text.encode()
        encoded = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode(), raw.hex()}
        return frozenset({self.text, quote(self.text, safe=""), quote_plus(self.text), *encoded} - {""})


def read_secret(value: object, environ: Mapping[str, str]) -> Secret:
    """The secret of a setting. ``environ``: the daemon's environment.

    Raises:
        SecretError: it is not a text, or cannot be read from its place.
    """
    if not isinstance(value, str) or not value.strip():
        raise SecretError(
            "(empty)" if value == "" else kind_of(value), "a text, or file:/path, env:NAME, credential:NAME"
        )
    text = value.strip()
    kind, _, rest = text.partition(":")
    match kind:
        case "file" if rest.startswith("/") and not rest.startswith("//"):
            return Secret(read_secret_file(Path(rest), text), text)
        case "file":
            raise SecretError("file:(not shown)", "an absolute path, like file:/etc/zsr/secrets/mail")
        case "env":
            return Secret(_from_environment(rest, environ), text)
        case "credential":
            return Secret(_credential(rest, environ), text)
    return Secret(text)


def all_derived(secrets: Iterable[Secret]) -> frozenset[str]:
    """All texts that would give away one of these secrets, and so must not be shown."""
    return frozenset().union(*(secret.derived for secret in secrets))


def read_secret_file(path: Path, shown: str) -> str:
    """The one line of a file that others cannot read. Raises SecretError, which names the file as ``shown``."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise SecretError(shown, f"a file that zsr can read ({reason})") from None
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise SecretError(shown, "a plain file")
        if facts.st_mode & 0o007:
            mode = f"{stat.S_IMODE(facts.st_mode):04o}"
            allowed = "a file that others cannot read, because it holds a secret: chmod 0600"
            raise SecretError(f"{shown} (mode {mode})", allowed)
        content = file.read(LARGEST)
    try:
        lines = [line.strip() for line in content.decode().splitlines() if line.strip()]
    except UnicodeDecodeError:
        lines = []
    if len(lines) != 1:
        raise SecretError(shown, "a file with one line of text: the secret")
    return lines[0]


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    if not _NAME.fullmatch(name):
        raise SecretError("env:(not shown)", "the name of an environment variable")
    found = environ.get(name, "").strip()
    if not found:
        raise SecretError(f"env:{name}", "an environment variable of the daemon that is set, not empty")
    return found


def _credential(name: str, environ: Mapping[str, str]) -> str:
    if not _CREDENTIAL.fullmatch(name) or name in {".", ".."}:
        raise SecretError("credential:(not shown)", "the name of a credential: letters, digits, '_', '-' and '.'")
    folder = environ.get(CREDENTIALS, "")
    if not folder.startswith("/"):
        allowed = f"a daemon that systemd gives credentials to (LoadCredential={name}:/path in its unit)"
        raise SecretError(f"credential:{name}", allowed)
    return read_secret_file(Path(folder) / name, f"credential:{name}")
