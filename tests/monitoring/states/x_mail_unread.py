"""The mail server accepts every message, and nobody reads them."""

from tests.support.states import State

STATE = State(
    key="invented 19",
    title="messages are delivered to a mailbox that nobody reads, or to a filter",
    produced="the mailbox of an admin who left; a rule of the mail server that moves what zsr sends",
    outside="Once the server has accepted a mail, zsr cannot know more. A ping target at a service that alarms when "
    "pings stop needs no reader; heartbeat = 'daily' makes silence noticeable; a second target reaches another person.",
)
