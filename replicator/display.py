"""Text that may come from another node, made fit for a terminal, a log, a mail or a page. Pure.

A control character in it could hide words, set a title, or give a terminal orders. It is shown as ``cat -v`` does.
"""

from __future__ import annotations

import re

_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but tab and line feed, those that turn the direction of writing, and halves of surrogates."""

_BYTES = bytes(set(range(0x20)) - {0x09, 0x0A} | {0x7F})


def displayable(text: str) -> str:
    """Return a text with every control character but tab and line feed as ``^X``, or as a number above ASCII."""
    return _UNFIT.sub(_shown, text)


def decoded(data: bytes) -> str:
    """Return what another process printed, as displayable text; what is not UTF-8 becomes the sign for that."""
    if data.isascii() and len(data.translate(None, _BYTES)) == len(data):
        return data.decode()
    return displayable(data.decode(errors="replace"))


def shortened(text: str, longest: int) -> str:
    """Return a text of at most some characters; one that was cut ends with dots."""
    return text if len(text) <= longest else f"{text[:longest]}..."


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"^{chr(code ^ 0x40)}" if code < 0x80 else f"\\u{code:04x}"
