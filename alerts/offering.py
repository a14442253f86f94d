"""What another program says, offered to all targets: each takes it whose route wants it."""

from __future__ import annotations

from alerts.desk import Desk
from alerts.notes import key_of, notes_json
from alerts.notice import Notice


async def offer(notice: Notice, desk: Desk) -> None:
    """Put a notice into the outboxes of those that want it, all or none; durable when this returns.

    Raises:
        OSError, ZsrError: it cannot be kept now.
    """
    taken = {delivery: notes for delivery in desk.deliveries.values() if (notes := delivery.offered(notice))}
    if taken:
        desk.memory.put_all({key_of(delivery.target): notes_json(notes) for delivery, notes in taken.items()})
    for delivery, notes in taken.items():
        delivery.accept(notes)
