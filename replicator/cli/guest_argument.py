"""A guest on the command line: its number, or the name of its group."""

from __future__ import annotations

import click

from replicator.errors import ConfigError
from replicator.ids import parse_guest
from replicator.models import GuestId


class GuestType(click.ParamType):  # type: ignore[type-arg] # earlier versions of click have none
    """Reads a guest. Whether the cluster has it is asked later."""

    name = "guest"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> GuestId:
        """See `click.ParamType.convert`."""
        if isinstance(value, int):
            return value
        text = str(value)
        if text.isascii() and text.isdecimal():
            return int(text)
        try:
            return parse_guest(text)
        except ConfigError as error:
            self.fail(f"{error.what} {error.advice}", param, ctx)


GUEST = GuestType()
