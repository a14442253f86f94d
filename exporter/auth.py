"""Access control: basic authentication against bcrypt hashes, and names required in a client's certificate.

bcrypt is slow on purpose: it is computed in one thread of its own, one at a time, so that a flood of wrong passwords
takes no more than that; a right password is computed once. An unknown name costs as much as a wrong password.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import bcrypt

from exporter.web_config import WebConfig

REMEMBERED = 100
"""How many right passwords are remembered, as keyed hashes."""

BCRYPT_BYTES = 72
"""bcrypt reads no more of a password; the library refuses a longer one, htpasswd and Prometheus cut it."""

_NOBODY = "7EqJtq98hPqEX7fNZaFWoOhi5sNs5YQv1q4Zt9h1m0b4sC3hS8f5K"


class Guard:
    """Decides for one server; ``config`` may be exchanged while it works.

    ``config_ok``: whether its files were read well when they last changed.
    """

    def __init__(self, config: WebConfig) -> None:
        self.config = config
        self.config_ok = True
        self._secret = secrets.token_bytes(32)
        self._right: dict[bytes, None] = {}
        self._hasher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="passwords")

    def close(self) -> None:
        """Give up the thread."""
        self._hasher.shutdown(wait=False, cancel_futures=True)

    async def admits(self, authorization: str | None) -> bool:
        """Whether a request with this ``Authorization`` header may be answered."""
        users = dict(self.config.users)
        if not users:
            return True
        given = basic_credentials(authorization)
        if given is None:
            return False
        name, password = given
        known = users.get(name)
        wanted = known or nobodys_hash(users)
        mark = hmac.digest(self._secret, f"{wanted}\0{name}\0".encode() + password, hashlib.sha256)
        if known is not None and mark in self._right:
            return True
        matches = await asyncio.get_running_loop().run_in_executor(self._hasher, is_password, password, wanted)
        if known is None or not matches:
            return False
        self._right[mark] = None
        while len(self._right) > REMEMBERED:
            del self._right[next(iter(self._right))]
        return True

    def knows(self, certificate: Mapping[str, Any] | None) -> bool:
        """Whether a client's certificate (as ``getpeercert`` returns it) has an allowed name; all do without a list."""
        allowed = self.config.tls.client_allowed_sans if self.config.tls else []
        names = {value for _, value in (certificate or {}).get("subjectAltName", ())}
        return not allowed or not names.isdisjoint(allowed)


def basic_credentials(authorization: str | None) -> tuple[str, bytes] | None:
    """Name and password of a header ``Basic ...`` (RFC 7617, UTF-8); None where it is something else."""
    scheme, _, rest = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(rest.strip(), validate=True).partition(b":")
        return (name.decode(), password) if colon else None
    except (binascii.Error, ValueError):
        return None


def is_password(password: bytes, wanted: str) -> bool:
    """Whether a password has this bcrypt hash."""
    try:
        return bcrypt.checkpw(password[:BCRYPT_BYTES], wanted.encode())
    except ValueError:
        return False


def nobodys_hash(users: Mapping[str, str]) -> str:
    """A hash to compare an unknown user's password with: as slow as the slowest of those that are known."""
    cost = max(text.split("$")[2] for text in users.values())
    return f"$2b${cost}${_NOBODY}"
