"""docs/five-minutes.md, copied and pasted on two bare Debians, one of each release, ends as it promises."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.five_minutes import GUESTS, commands, follow, guests
from tests.support.two_debians import RELEASES, NoDebiansError, TwoDebians, two_debians
from tests.support.typist import Typist
from tests.support.watcher import watcher

LOOK = """\
newest=$(zfs list -H -o name -t snapshot tank/data/{name} | tail -n 1)
zfs clone -o readonly=on -o mountpoint=/mnt $newest tank/look && sha256sum </mnt/file; zfs destroy tank/look
"""


@pytest.fixture
def hosts() -> Iterator[TwoDebians]:
    """Alpha with Debian 12, beta with 13, as bare as they can be."""
    try:
        with two_debians(*RELEASES) as running:
            yield running
    except NoDebiansError as error:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"no two Debians: {error}")


@pytest.mark.sampled(3)
async def test_the_page_ends_in_replicated_guests_a_scraped_metric_and_a_mail(
    package: Path, hosts: TwoDebians, tmp_path: Path
) -> None:
    guests(hosts.alpha)
    (install, curl), (notify,) = commands("4. A metric"), commands("5. A mail")

    async with watcher(hosts, tmp_path) as watching:
        printed = await asyncio.to_thread(follow, hosts, package, Typist())
        await asyncio.to_thread(hosts.alpha.run, install)
        metric = await asyncio.to_thread(hosts.alpha.run, curl)
        said = await asyncio.to_thread(hosts.alpha.run, notify)
        watching.read_job(printed)
        scraped = await asyncio.to_thread(watching.scraped, "zsr_job_last_sync_timestamp_seconds")
        recipients = [each.message["to"] for each in watching.mail.received]

    assert [name for name in GUESTS if is_same(hosts, name)] == [*GUESTS]
    assert re.findall(r'zsr_job="(.*?)"', metric.stdout) == ["100-0", "101-0"]
    assert {(each["instance"], each["zsr_job"]) for each in scraped} == {("alpha", "100-0"), ("alpha", "101-0")}
    assert re.search(r"^admins +mailtos +ok ", said.stdout, re.MULTILINE)
    assert recipients == ["admin@example.org"] * 2, "one of setup, one of `zsr notify test`"


def is_same(hosts: TwoDebians, name: str) -> bool:
    """Whether the newest restore point on beta has the bytes that alpha has."""
    there = hosts.beta.run(LOOK.format(name=name)).stdout
    return there == hosts.alpha.run(f"sha256sum </tank/data/{name}/file").stdout
