"""Why a delivery failed, in one sentence, from the log records."""

from __future__ import annotations

import pytest

from alerts.channels.error_text import explain_failure


@pytest.mark.parametrize(
    ("muttered", "said"),
    [
        ("Socket Exception: [Errno 111] Connection refused", "nothing listens"),
        ("Socket Exception: [Errno -2] Name or service not known", "not found (DNS)"),
        ("Socket Exception: [Errno 113] No route to host", "no route"),
        ("Socket Exception: timed out", "did not answer in time"),
        ("Socket Exception: Connection unexpectedly closed", "hung up"),
        ("Socket Exception: STARTTLS extension not supported by server.", "no STARTTLS"),
        ("Socket Exception: [SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)", "does not speak TLS"),
        (
            "Socket Exception: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_",
            "not trusted: self-signed certificate.",
        ),
        ("Socket Exception: (535, b'5.7.8 Authentication failed')", "log-in: 535 5.7.8 Authentication failed"),
        ("Socket Exception: {'***': (550, b'no such user')}", "refused the message: 550 no such user"),
        ("Socket Exception: (451, b'try later')", "for now: 451"),
        ("Failed to send JSON POST notification: error=302.", "redirects"),
        ("Failed to send JSON POST notification: Unauthorized, error=401.", "authentication"),
        ("Failed to send JSON POST notification: error=429.", "too many"),
        ("Failed to send JSON POST notification: error=503.", "the server itself"),
        ("Failed to send JSON POST notification: error=418.", "does not accept"),
        ("There are no Email recipients to notify", "apprise says: There are no Email recipients"),
    ],
)
def test_a_reason_is_explained_in_a_sentence(muttered: str, said: str) -> None:
    assert said in explain_failure(["Connection error while submitting email", muttered])


def test_a_failure_without_log_lines_is_explained_too() -> None:
    assert "no reason" in explain_failure([])


def test_an_address_in_an_unknown_reason_is_not_quoted() -> None:
    assert "t...n" not in explain_failure(["Could not use json://bob:t...n@host/"])
