"""The notifier owns the workers of all targets, and passes on the notices that concern more than one of them."""

from __future__ import annotations

from functools import partial

from alerts.channels.base import Channel
from alerts.delivery.context import DeliveryContext
from alerts.delivery.store import Writes, key_of, state_json
from alerts.delivery.target_worker import TargetWorker
from alerts.notice import Notice
from alerts.routing.routes import Route


class Notifier:
    """The workers of all targets, by name. Add all of them before the first one runs."""

    def __init__(self, context: DeliveryContext) -> None:
        self._context = context
        self._workers: dict[str, TargetWorker] = {}

    @property
    def workers(self) -> tuple[TargetWorker, ...]:
        """All workers, in the order in which they were added."""
        return tuple(self._workers.values())

    def add(self, target: str, channel: Channel, route: Route) -> TargetWorker:
        """Create the worker of a target; the caller runs it."""
        worker = TargetWorker(
            target, channel, route, self._context, broadcast=partial(self.broadcast, target), read_to=self.read_to
        )
        self._workers[target] = worker
        return worker

    def read_to(self) -> str:
        """The last event of the journal that no target needs any more."""
        cursors = [worker.cursor for worker in self.workers]
        known = [cursor for cursor in cursors if cursor is not None]
        # One that has not started yet may be far behind.
        return str(min(known, default=0) if len(known) == len(cursors) else 0)

    async def accept(self, notice: Notice) -> None:
        """Enqueue an external notice for every target whose route wants it; all or none, durable on return.

        Raises:
            OSError, ZsrError: it cannot be stored now.
        """
        accepted = {worker: state for worker in self.workers if (state := worker.accept_external(notice))}
        if accepted:
            self._context.store.put_all(
                {key_of(worker.target): state_json(state) for worker, state in accepted.items()}
            )
        for worker, state in accepted.items():
            worker.commit(state)

    def broadcast(self, source: str, notice: Notice) -> Writes:
        """Enqueue a target's own notice for every other target, whatever its route matches.

        Returns what the source has to write, in one write with its own state.
        """
        writes: Writes = {}
        for target, worker in self._workers.items():
            if target != source:
                writes |= worker.enqueue_peer_notice(notice)
        return writes
