"""A wrong notification URL is answered with the part that is wrong, and nothing of it is shown."""

from __future__ import annotations

import pytest

from alerts.channels.apprise import known_schemes, make_service
from alerts.channels.url_fault import names_no_recipient, url_fault


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("slack.com/x", "'://' is missing"),
        ("slak://a/b/c", "apprise has no such service: did you mean 'slack://'?"),
        ("hunter2-geheim://x", "no known service"),
        ("mailto://u:geh@eim@example.org?to=a@example.org", "an '@' in the user or the password is written %40"),
        ("mailto://root@nas?to=admin@example.org", "the mail's sender has to be an address"),
        ("mailto://example.org", "the recipient is missing: add ?to=admin@example.org"),
        ("mailto://root@nas.lan?to=admin", "'to' has to be an address with its domain"),
        ("json://", "an apprise URL with all its parts"),
    ],
)
def test_the_wrong_part_is_named(url: str, part: str) -> None:
    assert make_service(url) is None
    answer = url_fault(url, known_schemes())
    assert answer.startswith(part)
    assert "geheim" not in answer
    assert "hunter2" not in answer


@pytest.mark.parametrize(
    ("url", "nobody"),
    [
        ("mailtos://zsr:geheim@example.org", True),
        ("mailtos://zsr:geheim@example.org/?from=a@b.org", True),
        ("mailtos://zsr:geheim@example.org?to=a@b.org", False),
        ("mailtos://zsr:geheim@example.org/a@b.org", False),
        ("json://example.org", False),
    ],
)
def test_a_mail_without_a_recipient_is_known(url: str, nobody: bool) -> None:
    assert names_no_recipient(url) is nobody
