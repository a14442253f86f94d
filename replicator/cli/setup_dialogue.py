"""Questions and answers at a terminal: a default in brackets, and each answer is checked at once."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import click

from replicator.api.doctor import Level, Line
from replicator.errors import ConfigError, ZsrError

T = TypeVar("T")
WIDTH = 80
_SHOWN = {Level.OK: "ok", Level.OFF: "-", Level.UNKNOWN: "unknown", Level.WARN: "warn", Level.FAIL: "FAIL"}


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A person at a terminal; ``err``: all is printed on standard error."""

    err: bool = False

    @staticmethod
    def refuse_without_terminal() -> None:
        """Raise ConfigError where nobody can be asked."""
        if not sys.stdin.isatty():
            raise ConfigError("There is no terminal to ask at.", advice="Give the answers: zsr setup --answers FILE")

    def say(self, text: str = "") -> None:
        """Print a text as it is."""
        click.echo(text, err=self.err)

    def explain(self, text: str) -> None:
        """Print sentences, indented."""
        for line in textwrap.wrap(text, WIDTH - 2, break_long_words=False, break_on_hyphens=False):
            self.say(f"  {line}")

    def head(self, text: str) -> None:
        """Print the heading of some questions."""
        self.say()
        self.say(click.style(text, bold=True) if (sys.stderr if self.err else sys.stdout).isatty() else text)

    def show(self, lines: Iterable[Line]) -> None:
        """Print what was found."""
        for line in lines:
            begin = f"  {_SHOWN[line.level]:<4}  "
            texts = textwrap.wrap(line.text, WIDTH - len(begin), break_long_words=False, break_on_hyphens=False)
            advice = f"-> {line.advice}" if line.advice else ""
            texts += textwrap.wrap(advice, WIDTH - len(begin), break_long_words=False, break_on_hyphens=False)
            self.say(
                "\n".join(f"{begin if not number else ' ' * len(begin)}{text}" for number, text in enumerate(texts))
            )

    def ask(self, question: str, check: Callable[[str], T], default: str | None = None, shown: str = "") -> T:
        """Ask until the answer is right; return what ``check`` makes of it.

        Args:
            question: without a colon.
            check: raises ValueError with what is allowed, or ZsrError with what is wrong.
            default: what Enter means; None: there must be an answer.
            shown: the default as it is shown, where that is something else.
        """
        text = f"{question} [{shown or default}]" if shown or default else question
        while True:
            answer = click.prompt(text, default=default, show_default=False, err=self.err, type=str)
            try:
                return check(answer.strip())
            except ValueError as error:
                self.explain(f"Wrong: {error}.")
            except ZsrError as error:
                self.explain(str(error))

    def yes(self, question: str, *, default: bool) -> bool:
        """Ask for yes or no."""
        return click.confirm(question, default=default, err=self.err)
