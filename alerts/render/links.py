"""Where a message leads: this node's page, and the dashboard that shows what it is about. Pure."""

from __future__ import annotations

from urllib.parse import quote

from alerts.notice import Notice
from alerts.render.content import Link, RenderContext

REPLICATION, GUEST = "zsr-replication", "zsr-guest"
"""The dashboards' uids, which never change (a test holds them against the dashboards)."""


def links(notice: Notice, reader: RenderContext) -> tuple[Link, ...]:
    """The links of a notice; none where the settings give no URL."""
    found = []
    if reader.page:
        found.append(Link("Status page", reader.page))
    if reader.dashboard:
        base = reader.dashboard.rstrip("/")
        guests = {subject.guest for subject in notice.subjects}
        if len(guests) == 1:
            found.append(Link("Dashboard", f"{base}/d/{GUEST}?var-guest={quote(str(guests.pop()))}"))
        else:
            found.append(Link("Dashboard", f"{base}/d/{REPLICATION}"))
    return tuple(found)
