"""When the certificate that the exporter presents ends: of the one in use, with its chain, also after a renewal."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from exporter import server as server_module
from exporter.certificates import certificates
from exporter.settings import Settings
from exporter.web_config import Tls, WebConfig, read_web_config
from replicator.api.certificate import Certificate
from tests.support.daemon_env import until
from tests.support.exporter_server import LOOPBACK, Certificates, answer, logged, running
from tests.support.statuses import DAY, NOW, FakeCore

BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)


def issue(folder: Path, ca: trustme.CA, end: datetime = END) -> None:
    """Write a certificate of this machine, with its key."""
    issued = ca.issue_cert("127.0.0.1", not_before=BEGIN, not_after=end)
    issued.private_key_pem.write_to_path(folder / "node.key")
    (folder / "node.crt").write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))


def test_the_period_is_that_of_the_file(files: Certificates) -> None:
    issue(files.folder, files.ca)
    files.write()
    found = certificates(read_web_config(files.config))
    assert found == (Certificate(str(files.folder / "node.crt"), BEGIN.timestamp(), END.timestamp()),)


def test_of_a_chain_the_first_end_counts(files: Certificates) -> None:
    issue(files.folder, files.ca, datetime(2126, 1, 1, tzinfo=UTC))
    between = files.ca.issue_cert("ca.example.org", not_before=BEGIN, not_after=END).cert_chain_pems[0].bytes()
    with (files.folder / "node.crt").open("ab") as chain:
        chain.write(between)
    files.write()
    (found,) = certificates(read_web_config(files.config))
    assert found.end == END.timestamp()


def test_a_certificate_in_the_configuration_has_the_name_of_that_file(files: Certificates) -> None:
    text = files.ca.issue_cert("127.0.0.1", not_after=END).cert_chain_pems[0].bytes().decode()
    (found,) = certificates(WebConfig(files.config, Tls(cert=text)))
    assert (found.file, found.end) == (str(files.config), END.timestamp())


def test_without_tls_there_is_none() -> None:
    assert certificates(WebConfig()) == ()


def test_one_that_cannot_be_read_is_logged_and_left_out(files: Certificates, caplog: pytest.LogCaptureFixture) -> None:
    assert certificates(WebConfig(files.config, Tls(cert="no certificate"))) == ()
    assert certificates(WebConfig(files.config, Tls(cert_file="gone.crt"))) == ()
    assert caplog.text.count("is not known") == 2


async def test_the_certificate_in_use_is_shown_and_a_renewed_one_at_once(
    core: FakeCore, files: Certificates, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server_module, "LOOK_AGAIN_SECONDS", 0.02)
    files.write()
    issue(files.folder, files.ca, datetime(2100, 1, 1, tzinfo=UTC))
    async with running(core, Settings((LOOPBACK,), web_config=files.config)) as server:
        (first,) = core.certificates
        issue(files.folder, files.ca, datetime(2101, 1, 1, tzinfo=UTC))
        await until(lambda: core.certificates != (first,))
        (second,) = core.certificates
        assert (first.end, second.end) == tuple(datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (2100, 2101))
        (files.folder / "node.crt").write_text("no certificate")
        await logged(caplog, "stays active")
        assert core.certificates == (second,)
        assert await answer(server, tls=files.client()) == 200
    assert not core.certificates, "nothing is presented any more"


@pytest.mark.parametrize(
    ("made_for", "left", "ending", "almost_over"),
    [
        (365 * DAY, 14 * DAY, False, False),
        (365 * DAY, 14 * DAY - 1, True, False),
        (365 * DAY, 3 * DAY - 1, True, True),
        (365 * DAY, -DAY, True, True),
        (DAY, DAY / 4, False, False),
        (DAY, DAY / 4 - 1, True, False),
        (DAY, DAY / 8 - 1, True, True),
    ],
)
def test_the_end_is_near_by_days_or_by_a_part_of_a_short_period(
    made_for: float, left: float, ending: bool, almost_over: bool
) -> None:
    found = Certificate("node.crt", NOW + left - made_for, NOW + left)
    assert (found.is_ending(NOW), found.is_almost_over(NOW)) == (ending, almost_over)
