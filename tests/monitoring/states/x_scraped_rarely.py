"""Prometheus scrapes the nodes every ten minutes."""

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, Fleet, State, well


def _fleet(since: int) -> Fleet:
    return well(BEGIN + since) if since % 10 == 0 else {}


STATE = State(
    key="invented 18",
    title="Prometheus scrapes so rarely that alerts which wait never fire",
    produced="scrape_interval: 10m",
    fleet=_fleet,
    lasts=180,
    alerts=(
        Alert("ZsrScrapedRarely", Severity.WARNING, 125, {"instance": "alpha"}),
        Alert("ZsrScrapedRarely", Severity.WARNING, 125, {"instance": "beta"}),
    ),
    why_silent="nothing is wrong with zsr itself, and it does not know how often it is scraped.",
)
