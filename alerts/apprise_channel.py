"""A target behind apprise, as a channel: puts a notice into words and lets apprise carry them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo

from alerts.channel import Sent
from alerts.notice import Notice
from alerts.sender import Sender
from alerts.wording import compose


class AppriseChannel:
    """Implements `alerts.channel.Channel`. ``clock`` tells unix time, ``zone`` is that of the times in the text."""

    def __init__(self, sender: Sender, clock: Callable[[], float], zone: tzinfo) -> None:
        self._sender = sender
        self._clock = clock
        self._zone = zone

    async def send(self, notice: Notice) -> Sent:
        """See `Channel.send`."""
        return await self._sender.send(compose(notice, self._clock(), self._zone))
