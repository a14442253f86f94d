"""Carry notices through apprise: chats, push services, and all else that it reaches."""

from __future__ import annotations

import apprise

from alerts.channel import SEND_LIMIT, Sent
from alerts.channels.attempts import Attempts
from alerts.notice import Notice, NoticeKind, Severity
from alerts.redaction import RedactingFilter
from alerts.routes import ALL_CLEARS
from alerts.sender import deliver
from alerts.words.render import Form, Rendered
from alerts.words.scribe import Scribe

ROWS = (15, 8, 4, 2, 1)
"""Jobs in a list: as many of these as fit into what a service takes."""

_FAILURES = frozenset(
    {
        NoticeKind.FAILED,
        NoticeKind.STILL_FAILING,
        NoticeKind.RPO_BREACHED,
        NoticeKind.REPLICA_LOST,
        NoticeKind.TARGET_UNREACHABLE,
    }
)


class AppriseChannel:
    """One service of apprise. Its URL's ``format=markdown`` asks for Markdown; plain text is what all can show."""

    def __init__(
        self, service: apprise.NotifyBase, scribe: Scribe, guard: RedactingFilter, *, limit: float = SEND_LIMIT
    ) -> None:
        self._service = service
        self._scribe = scribe
        self._guard = guard
        self._attempts = Attempts(limit)

    async def send(self, notice: Notice) -> Sent:
        """Try once. Never raises but for being cancelled; a cancelled attempt may still get through."""
        return await self._attempts.run(notice.key, lambda: self._attempt(notice))

    def _attempt(self, notice: Notice) -> Sent:
        wanted = self._service.resolve_format(apprise.NotifyFormat.TEXT)
        marked = wanted is apprise.NotifyFormat.MARKDOWN
        words = self._fitting(notice, Form.MARKDOWN if marked else Form.TEXT)
        form = apprise.NotifyFormat.MARKDOWN if marked else apprise.NotifyFormat.TEXT
        return deliver(self._service, self._guard, words.title, words.body, notify_type(notice), form)

    def _fitting(self, notice: Notice, form: Form) -> Rendered:
        """The words with as long a list as the service takes; what does not fit at all is cut."""
        room = self._service.body_maxlen
        words = Rendered("", "")
        for rows in ROWS:
            words = self._scribe.write(notice, form, rows)
            if len(words.title) + len(words.body) < room:
                return words
        return Rendered(words.title, f"{words.body[: max(0, room - len(words.title) - 2)]}…")


def notify_type(notice: Notice) -> apprise.NotifyType:
    """The type that services choose colour and sound by."""
    if notice.kind in ALL_CLEARS or notice.closes:
        return apprise.NotifyType.SUCCESS
    if notice.severity is Severity.INFO:
        return apprise.NotifyType.INFO
    failure = notice.kind in _FAILURES or notice.severity is Severity.CRITICAL
    return apprise.NotifyType.FAILURE if failure else apprise.NotifyType.WARNING
