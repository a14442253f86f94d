"""No part of a URL is shown: not by redaction, not by a log record, not by a repr."""

from __future__ import annotations

import logging

import pytest

from alerts.redaction import MASK, guarded_logs, redact, secrets_of

URL = "jsons://bob:p%40ss%2Fw0rd@hooks.example.org:8443/T0KENPATH/deep?+X-Key=HEADERTOKEN&-key=GETTOKEN&:k=EXTRATOKEN"


@pytest.mark.parametrize(
    "secret",
    ["p@ss/w0rd", "p%40ss%2Fw0rd", "T0KENPATH", "HEADERTOKEN", "GETTOKEN", "EXTRATOKEN", "hooks.example.org"],
)
def test_each_part_of_a_url_is_masked(secret: str) -> None:
    assert secret not in redact(f"failed with {secret} at it", secrets_of(URL))


def test_the_basic_authentication_that_a_url_leads_to_is_masked() -> None:
    assert redact("Basic Ym9iOnBAc3MvdzByZA==", secrets_of(URL)) == f"Basic {MASK}"


def test_case_does_not_save_a_secret_from_being_masked() -> None:
    assert "HOOKS" not in redact("HTTPSConnectionPool(host='HOOKS.EXAMPLE.ORG')", secrets_of(URL))


def test_a_short_password_is_masked_too() -> None:
    assert redact("login xyz refused", secrets_of("mailtos://bob:xyz@mail.example.org")) == f"login {MASK} refused"


def test_words_that_are_no_secrets_stay_readable() -> None:
    assert redact("STARTTLS timeout", secrets_of("mailtos://mail.example.org?mode=starttls")) == "STARTTLS timeout"


def test_without_secrets_a_text_stays_as_it_is() -> None:
    assert redact("as it is", frozenset()) == "as it is"


def test_the_http_library_writes_no_secret_and_nothing_below_info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logger = logging.getLogger("urllib3.connectionpool")
    with guarded_logs(secrets_of(URL)):
        logger.debug("POST %s", "T0KENPATH")
        logger.warning("to %s", "T0KENPATH")
        try:
            int("HEADERTOKEN")
        except ValueError:
            logger.exception("it broke")
    assert f"to {MASK}" in caplog.text
    assert "ValueError" in caplog.text
    assert "T0KENPATH" not in caplog.text
    assert "HEADERTOKEN" not in caplog.text
    assert "POST" not in caplog.text


def test_nothing_of_apprise_is_written_because_it_shortens_secrets(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with guarded_logs(secrets_of(URL)):
        logging.getLogger("apprise").error("Unparseable URL jsons://bob:p...d@h...g/T...H")
    assert caplog.text == ""


def test_a_listener_hears_the_debug_records_of_its_thread_redacted() -> None:
    with guarded_logs(secrets_of(URL)) as guard, guard.listening() as heard:
        logging.getLogger("apprise").debug("Socket Exception: refused by hooks.example.org")
    assert heard == [f"Socket Exception: refused by {MASK}"]


def test_the_loggers_are_as_before_when_the_guard_ends() -> None:
    logger = logging.getLogger("apprise")
    before = (logger.level, list(logger.filters))
    with guarded_logs(frozenset()):
        pass
    assert (logger.level, list(logger.filters)) == before
