"""States that one machine produces: real daemons, ZFS, sshd, Prometheus and Alertmanager come to what the story says.

Each state of `tests.monitoring.states` that is produced here is brought about as its text says. Real Prometheus and
Alertmanager have its alerts then, and not before, and no more after it. All series that these alerts read are those
that promtool is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from demo.sandbox import Sandbox
from tests.support.real_node import why_no_nodes
from tests.support.real_site import RealSite
from tests.support.real_states import RealState, differences, fires
from tests.support.real_states_made import MADE

pytestmark = [pytest.mark.prometheus, pytest.mark.timeout(400)]


@dataclass
class Sites:
    """The site that the tests share, until one of them spoils it."""

    sandbox: Sandbox
    site: RealSite | None = None

    def take(self) -> RealSite:
        """The site; it has to be given back. One whose runs failed is of no use: the stories' counters begin at 0."""
        if self.site is not None and self.site.value("zsr_job_runs_total", outcome="failure", zsr_job="100-0"):
            self.close()
            self.site = None
        found, self.site = self.site or RealSite(self.sandbox), None
        if found.value("zsr_last_inventory_timestamp_seconds", node="beta") is None:
            found.run()  # its daemon was started again by the state before
        return found

    def give_back(self, site: RealSite) -> None:
        """Keep the site for the next test."""
        self.site = site

    def close(self) -> None:
        """End the site that is kept."""
        if self.site is not None:
            self.site.close()


@pytest.fixture(scope="module")
def sites(sandbox: Sandbox) -> Iterator[Sites]:
    reason = why_no_nodes()
    if reason is not None:
        pytest.skip(reason)
    kept = Sites(sandbox)
    try:
        yield kept
    finally:
        kept.close()


@pytest.mark.sampled(16)
@pytest.mark.parametrize("made", MADE, ids=lambda made: made.state.key.replace(" ", "-"))
def test_the_series_and_alerts_of_a_state_are_those_of_real_nodes_in_it(made: RealState, sites: Sites) -> None:
    site = sites.take()
    try:
        _judge(made, site)
    except BaseException:
        site.close()
        raise
    if made.spoils:
        site.close()
    else:
        sites.give_back(site)


def _judge(made: RealState, site: RealSite) -> None:
    alerts = made.state.alerts
    site.until(lambda: not any(fires(alert, site.alerts(), site) for alert in alerts), "no alert of it fires before")
    making = made.make(site)
    next(making)
    site.until(lambda: all(fires(alert, site.alerts(), site) for alert in alerts), f"{[a.name for a in alerts]} fire")
    site.until(lambda: all(fires(alert, site.received(), site) for alert in alerts), "Alertmanager has them")
    for node in made.state.at(60 + max(alert.within for alert in alerts) + 1):
        site.until(
            lambda node=node: differences(made, site, node) == [],  # type: ignore[misc]
            f"{node} is as in the story\n" + "\n".join(differences(made, site, node)),
            patience=10,
        )
    if not made.spoils:
        next(making, None)
        site.until(lambda: not any(fires(a, site.alerts(), site) for a in alerts), "its alerts end")
