"""Reads the mail settings in a ``mailto://`` or ``mailtos://`` URL, by apprise's syntax and parser."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from apprise.plugins.email.base import NotifyEmail, PGPMode

from alerts.channels.apprise import make_service

_FORMAT = re.compile(r"[?&]format=(?P<form>[a-z]+)", re.IGNORECASE)

Address = tuple[str, str]
"""A name, which may be empty, and an address."""


@dataclass(frozen=True, slots=True)
class MailSettings:
    """How to send mail. ``mode`` is ``insecure``, ``starttls`` or ``ssl``; ``timeout`` is in seconds, per step."""

    host: str = field(repr=False)
    port: int
    mode: str
    verify: bool
    timeout: float
    sender: Address = field(repr=False)
    to: tuple[Address, ...] = field(repr=False)
    cc: tuple[Address, ...] = field(default=(), repr=False)
    bcc: tuple[Address, ...] = field(default=(), repr=False)
    reply_to: tuple[Address, ...] = field(default=(), repr=False)
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    html: bool = True

    @property
    def recipients(self) -> tuple[str, ...]:
        """All addresses of the message, each once."""
        return tuple(dict.fromkeys(address for _, address in (*self.to, *self.cc, *self.bcc)))


def is_mail(url: str) -> bool:
    """Whether a URL is one for mail."""
    return url.partition("://")[0].lower() in {"mailto", "mailtos"}


def mail_settings(url: str) -> MailSettings | None:
    """The settings of a mail URL; None if it is not valid or asks for PGP, which goes through apprise."""
    service = make_service(url) if is_mail(url) else None
    if not isinstance(service, NotifyEmail) or service.pgp_mode != PGPMode.NONE:
        return None
    form = _FORMAT.search(url)
    name, address = service.from_addr
    return MailSettings(
        host=str(service.smtp_host),
        port=int(service.port or 0),
        mode=str(service.secure_mode),
        verify=service.verify_certificate,
        timeout=float(service.socket_connect_timeout),
        sender=(str(name or ""), str(address)),
        to=tuple((str(name or ""), str(address)) for name, address in service.targets),
        cc=_named(service.cc, service.names),
        bcc=_named(service.bcc, service.names),
        reply_to=_named(service.reply_to, service.names),
        user=service.user or "",
        password=service.password or "",
        headers=dict(service.headers),
        html=form is None or form["form"].lower() != "text",
    )


def _named(addresses: set[str], names: Mapping[str, object]) -> tuple[Address, ...]:
    return tuple((str(names.get(address) or ""), address) for address in sorted(addresses))
