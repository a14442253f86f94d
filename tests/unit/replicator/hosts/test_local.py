"""Commands on this machine: what they print, and what they are given."""

from __future__ import annotations

import os

import pytest

from replicator.errors import LONGEST_SENTENCE, DeadlineError, ErrorClass, ZfsError, ZsrError
from replicator.hosts.host import STDERR_KEPT
from replicator.hosts.local import LocalHost

HOST = LocalHost("here")


async def test_a_command_gets_a_long_text_while_it_prints_one() -> None:
    text = "0123456789" * 100_000
    done = await HOST.run(["sh", "-c", "tee /dev/stderr"], limit=20, stdin=text)
    assert (done.status, done.stdout) == (0, text)
    assert done.stderr == text[: STDERR_KEPT // 2] + text[-STDERR_KEPT // 2 :]


async def test_a_command_that_does_not_want_its_text_reports_its_status() -> None:
    done = await HOST.run(["sh", "-c", "exec <&-; echo no >&2; exit 3"], limit=20, stdin="x" * 1_000_000)
    assert (done.status, done.stderr) == (3, "no\n")


async def test_a_command_that_prints_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replicator.hosts.host.STDOUT_LIMIT", 2**20)
    with pytest.raises(ZfsError, match=r"'yes no' on here printed more than 1 MiB\."):
        await HOST.run(["yes", "no"], limit=20)


def test_an_errors_sentence_has_a_longest_length() -> None:
    assert ZsrError("x" * LONGEST_SENTENCE).what == "x" * LONGEST_SENTENCE
    assert ZsrError("x" * 10**6).what == "x" * LONGEST_SENTENCE + "..."


@pytest.mark.parametrize(
    ("argv", "words", "kind"),
    [
        (["zfs-of-nowhere", "list"], "There is no command 'zfs-of-nowhere' on node here", ErrorClass.CONFIG),
        (["echo", "x" * 3_000_000], "more than Linux allows", ErrorClass.CONFIG),
        (["/"], "could not start '/'", ErrorClass.ZFS),
    ],
)
async def test_what_cannot_be_started_is_a_sentence_with_a_class(argv: list[str], words: str, kind: ErrorClass) -> None:
    host = LocalHost("here")
    with pytest.raises(ZsrError, match=words) as caught:
        await host.run(argv, limit=20)
    assert caught.value.error_class is kind
    with pytest.raises(ZsrError, match=words):
        await host.start_source(argv, os.open(os.devnull, os.O_WRONLY))


async def test_a_command_has_ended_when_its_output_is_closed() -> None:
    """As docs/replication.md says of hooks: what stays in the background must not keep it open."""
    with pytest.raises(DeadlineError):
        await HOST.run(["sh", "-c", "sleep 3 & echo done"], limit=0.5)
    assert (await HOST.run(["sh", "-c", "sleep 3 >/dev/null 2>&1 & echo done"], limit=10)).stdout == "done\n"
