"""Which part of a notification URL is wrong, as far as can be said without showing a secret. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches
from urllib.parse import parse_qsl

WHOLE = "an apprise URL with all its parts, like mailtos://user:password@host?to=admin@example.org"
_ADDRESS = re.compile(r"(?:.*<)?[^@\s<>]+@[^@\s<>]+\.[^@\s<>.]+>?")


def url_fault(url: str, schemes: Collection[str]) -> str:
    """Return what a URL that apprise does not take should be; its values are not shown.

    ``schemes``: those that apprise knows. A word that resembles one of them is a slip, and no secret.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return f"'://' is missing: {WHOLE}"
    if scheme.lower() not in schemes:
        close = get_close_matches(scheme.lower(), sorted(schemes), n=1, cutoff=0.75)
        return f"apprise has no such service: did you mean '{close[0]}://'?" if close else f"no known service: {WHOLE}"
    reason = _mail_fault(rest) if scheme.lower() in {"mailto", "mailtos"} else None
    return f"{reason}; {WHOLE}" if reason else WHOLE


def names_no_recipient(url: str) -> bool:
    """Return whether a URL is one for mail without ``to``; apprise takes an address in its path for that, too."""
    scheme, _, rest = url.partition("://")
    place, _, query = rest.partition("?")
    is_mail = scheme.lower() in {"mailto", "mailtos"}
    return is_mail and not place.partition("/")[2].strip("/") and "to" not in dict(parse_qsl(query.lower()))


def _mail_fault(rest: str) -> str | None:
    """Return the wrong part of a mail URL behind its ``://``."""
    authority, _, query = rest.partition("?")
    authority = authority.partition("/")[0]
    if authority.count("@") > 1:
        return "an '@' in the user or the password is written %40"
    values = dict(parse_qsl(query, keep_blank_values=True))
    host = authority.rpartition("@")[2].partition(":")[0]
    if "." not in host and "from" not in values:
        return "the mail's sender has to be an address: add from=admin@example.org, or name the host with its domain"
    if not values.get("to"):
        return "the recipient is missing: add ?to=admin@example.org"
    if not all(_ADDRESS.fullmatch(each.strip()) for each in values["to"].split(",")):
        return "'to' has to be an address with its domain, like to=admin@example.org"
    return None
