"""Explains a failed delivery in one sentence, from apprise's log records. Pure functions.

apprise gives the same terse sentence for a refused connection, a bad certificate and a wrong password; the difference
is only in its DEBUG records, whose texts come from the standard library, requests and the servers.
"""

from __future__ import annotations

import re

_HTTP_STATUS = re.compile(r"\berror=(?P<status>[1-5][0-9]{2})\b")
_CERTIFICATE = re.compile(r"certificate verify failed: (?P<reason>[^(\"']+)")
_ADDRESS = re.compile(r"\S+://\S+")
"""apprise shows URLs with shortened secrets, which redaction does not find."""
_SMTP_REPLY = re.compile(r"\((?P<code>[245][0-9]{2}), b(?P<quote>['\"])(?P<text>.*?)(?P=quote)")

_KNOWN: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), sentence)
    for pattern, sentence in (
        (r"name or service not known|getaddrinfo|nameresolution|name resolution", "The host name is not found (DNS)."),
        (r"connection refused", "The connection was refused: nothing listens on that host and port."),
        (r"no route to host|network is unreachable", "There is no route to the host."),
        (r"starttls extension not supported", "The mail server offers no STARTTLS; use mode=ssl or mode=insecure."),
        (r"smtp auth extension not supported|no suitable authentication", "The mail server accepts no log-in here."),
        (r"wrong.version.number|record layer failure", "The server does not speak TLS on this port."),
        (r"\bssl\b|\btls\b", "The TLS handshake failed."),
        (r"timed? ?out", "The server did not answer in time."),
        (r"connection unexpectedly closed|connection aborted|reset by peer|broken pipe", "The server hung up."),
    )
)
_STATUS_HINTS = {
    401: "authentication is missing or wrong",
    403: "access is refused; check the token",
    404: "there is nothing at this address; check path or token",
    429: "too many messages; the server asks to slow down",
}


def explain_failure(log_lines: list[str], source: str = "apprise") -> str:
    """One sentence for a failed delivery, from its log lines (redacted, in order); ``source`` wrote them."""
    text = "\n".join(log_lines)
    if found := _CERTIFICATE.search(text):
        return (
            f"The server's TLS certificate is not trusted: {found['reason'].strip().rstrip('.')}. "
            "See 'Private certificate authorities' in docs/notifications.md."
        )
    if found := _SMTP_REPLY.search(text):
        return _smtp(int(found["code"]), found["text"])
    if found := _HTTP_STATUS.search(text):
        return _http(int(found["status"]))
    for pattern, sentence in _KNOWN:
        if pattern.search(text):
            return sentence
    last = _ADDRESS.sub("***", " ".join(log_lines[-1].split()))[:200] if log_lines else ""
    return f"It failed; {source} says: {last}" if last else f"It failed; {source} gives no reason."


def _smtp(code: int, text: str) -> str:
    reply = " ".join(text.replace("\\n", " ").split())[:160]
    if code in {530, 534, 535, 538}:
        return f"The mail server refused the log-in: {code} {reply}"
    if code < 500:
        return f"The mail server refused the message for now: {code} {reply}"
    return f"The mail server refused the message: {code} {reply}"


def _http(status: int) -> str:
    if 300 <= status < 400:
        return f"The server answered HTTP {status}: it redirects, which zsr does not follow; use the new address."
    if hint := _STATUS_HINTS.get(status):
        return f"The server answered HTTP {status}: {hint}."
    side = "the server itself has a problem" if status >= 500 else "it does not accept the message"
    return f"The server answered HTTP {status}: {side}."
