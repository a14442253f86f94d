"""Sentences about a wrong command line: the wrong word, the right ones, and the one that a person probably meant.

One place for all commands: click finds what is wrong, and its words are completed or replaced here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import click

from replicator.display import displayable, shortened
from replicator.errors import LONGEST_SENTENCE, ConfigError
from replicator.ids import JobId, parse_guest

_LONGEST_WORD = 80
_OVERRIDABLE = frozenset({"--config", "--format", "--timeout", "--log-level", "--log-format"})
"""Options that say how, not what: an alias may have one, and a later one counts."""
_SURELY, _PERHAPS = 0.7, 0.6
"""How alike two words are of which one is a slip for the other (difflib): `creat` is no `read`."""
_UNKNOWN_COMMAND = re.compile(r"No such command '(?P<word>.*?)'\.", re.DOTALL)
_TOO_MANY = re.compile(r"Got unexpected extra arguments? \((?P<words>.*)\)", re.DOTALL)
_NO_CHOICE = re.compile(r"'(?P<word>[^']*)' is not one of (?P<known>'.*')\.", re.DOTALL)

_MEANT: Mapping[str, Mapping[str, str]] = {
    "zsr": {
        **dict.fromkeys(("create", "add", "new"), "zsr create-local-job ID TARGET"),
        **dict.fromkeys(("remove", "rm", "del", "destroy"), "zsr delete ID"),
        **dict.fromkeys(("edit", "modify", "set", "change"), "zsr update ID"),
        **dict.fromkeys(("show", "info", "get"), "zsr status ID', or 'zsr read ID"),
        **dict.fromkeys(("jobs", "ls"), "zsr list"),
        **dict.fromkeys(("sync", "replicate", "send", "backup"), "zsr run --id ID"),
        **dict.fromkeys(("failover", "recover"), "zsr guest recover ID"),
        **dict.fromkeys(("move", "migrate", "switchover"), "zsr guest move ID NODE"),
        **dict.fromkeys(("restore", "mount", "browse"), "zsr restore-points open ID"),
        **dict.fromkeys(("snapshots", "points", "rollback"), "zsr restore-points ID"),
        **dict.fromkeys(("init", "install", "configure"), "zsr setup"),
        **dict.fromkeys(("start", "serve", "restart"), "systemctl restart zsr', or 'zsr run --id ID"),
        **dict.fromkeys(("stop", "abort", "kill"), "zsr cancel ID', or 'systemctl stop zsr"),
        **dict.fromkeys(("pause", "suspend"), "zsr disable ID"),
        **dict.fromkeys(("resume", "unpause"), "zsr enable ID"),
        **dict.fromkeys(("validate", "verify", "test"), "zsr config check', or 'zsr notify test"),
        **dict.fromkeys(("logs", "history"), "zsr log ID"),
        **dict.fromkeys(("completion", "completions", "man"), "zsr assets export DIR"),
        **dict.fromkeys(("push", "diff"), "zsr cluster push', or 'zsr cluster diff"),
        **dict.fromkeys(("guests", "replicas"), "zsr guest list', or 'zsr guest replicas ID"),
        "upgrade": "apt install --only-upgrade zsr', or of a job's settings 'zsr update ID",
        "drill": "zsr guest drill ID",
        "next": "zsr calendar next SPEC",
        "health": "zsr check",
        "help": "zsr --help', or 'zsr COMMAND --help",
        "version": "zsr --version",
    },
    "cluster": {
        **dict.fromkeys(("pull", "fetch", "sync"), "zsr cluster push', typed on the other node, or 'zsr cluster diff"),
        **dict.fromkeys(("check", "validate", "show"), "zsr config check"),
    },
    "config": dict.fromkeys(("show", "list", "get", "test", "validate"), "zsr config check', or of a job 'zsr read ID"),
    "diverged": dict.fromkeys(("rm", "delete", "remove"), "zsr diverged destroy NODE DATASET"),
    "vanished": dict.fromkeys(("rm", "delete", "remove"), "zsr vanished destroy ID DATASET"),
    "restore-points": {
        **dict.fromkeys(("list", "show", "ls"), "zsr restore-points ID"),
        **dict.fromkeys(("mount", "browse", "restore"), "zsr restore-points open ID"),
        **dict.fromkeys(("umount", "unmount"), "zsr restore-points close ID"),
    },
    "notify": {"send": "zsr notify test", "list": "zsr notify log", "check": "zsr notify verify"},
    "guest": {
        **dict.fromkeys(("failover", "restore"), "zsr guest recover ID"),
        **dict.fromkeys(("migrate", "switchover"), "zsr guest move ID NODE"),
        **dict.fromkeys(("show", "status"), "zsr guest replicas ID"),
    },
}
"""Words of other tools, by the group in which they are typed, and what they are called here."""


class ExplainedError(click.UsageError):
    """A wrong command line; shown as all errors are, with the command's usage below."""

    def __init__(self, error: click.UsageError) -> None:
        super().__init__(explained(error), error.ctx)

    def show(self, file: object = None) -> None:
        """Print it on standard error."""
        click.echo(f"zsr: {self.message}", err=True)
        if self.ctx is not None:
            usage = re.sub(r"(?<=\S) +", " ", self.ctx.get_usage())
            click.echo(f"{usage}\nAll of it: {_path(self.ctx)} --help", err=True)


def explained(error: click.ClickException) -> str:
    """Return what is wrong, as a sentence that is fit for a terminal."""
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    message = error.format_message()
    if (found := _UNKNOWN_COMMAND.match(message)) is not None and ctx is not None:
        text = unknown_command(ctx, found["word"])
    elif (found := _TOO_MANY.match(message)) is not None and ctx is not None:
        text = _too_many(ctx, found["words"])
    elif isinstance(error, click.NoSuchOption) and ctx is not None:
        text = _unknown_option(ctx, error.option_name)
    elif isinstance(error, click.BadParameter) and error.param is not None:
        text = _of_value(error, error.param)
    else:
        text = message
    return shortened(displayable(text), LONGEST_SENTENCE)


def unknown_command(ctx: click.Context, word: str) -> str:
    """Return that a group has no such command, and which one was probably meant."""
    group = ctx.command
    known = group.list_commands(ctx) if isinstance(group, click.Group) else []
    elsewhere = _MEANT.get("zsr" if ctx.parent is None else group.name or "", {})
    text = f"No such command '{shortened(word, _LONGEST_WORD)}'."
    if ctx.info_name == "guest" and _is_guest(word):
        return f"{text} Did you mean '{ctx.command_path} replicas {word}'?"
    for names, cutoff in ((known, _SURELY), (elsewhere, _SURELY), (known, _PERHAPS)):
        for close in [word] if word in elsewhere else get_close_matches(word, names, n=1, cutoff=cutoff):
            return f"{text} Did you mean '{elsewhere.get(close, close)}'?"
    return f"{text} Known: {', '.join(sorted(known))}."


def refuse_twice(command: click.Command, words: Sequence[str], parent: click.Context) -> None:
    """Refuse an option that is given twice: one of the two values would be left out silently.

    Args:
        command: the command, or the group of the command.
        words: those behind it.
        parent: the context in which it is typed.
    """
    ctx = click.Context(command, parent=parent, info_name=command.name, **command.context_settings)
    try:
        _, left, order = command.make_parser(ctx).parse_args(list(words))
    except click.UsageError:
        return  # what is wrong is found again, and reported, when the command runs
    if isinstance(command, click.Group):
        inner = command.get_command(ctx, left[0]) if left else None
        if inner is not None:
            refuse_twice(inner, left[1:], ctx)
        return
    for param in order:
        if isinstance(param, click.Option) and _takes_one(param) and order.count(param) > 1:
            name = " or ".join([*param.opts, *param.secondary_opts])
            raise click.UsageError(f"Give {name} once: of several values only the last one would count.", ctx)


def allowed_number(kind: click.ParamType) -> str | None:  # type: ignore[type-arg] # earlier versions have none
    """Return which numbers a type allows, in words; None: it is no type of numbers."""
    match kind:
        case click.IntRange():
            what = "a whole number"
        case click.FloatRange():
            what = "a number"
        case _:
            return "a whole number" if kind is click.INT else "a number" if kind is click.FLOAT else None
    least = "" if kind.min is None else f"{'more than ' if kind.min_open else ''}{kind.min:g}"
    if kind.max is not None:
        return f"{what}, {least} and at most {kind.max:g}" if kind.min_open else f"{what} from {least} to {kind.max:g}"
    return f"{what}, {least} or more" if least else what


def _takes_one(option: click.Option) -> bool:
    is_switch = option.is_flag and not option.secondary_opts
    return not (option.multiple or option.count or is_switch or _OVERRIDABLE.intersection(option.opts))


def _too_many(ctx: click.Context, words: str) -> str:
    text = f"'{_path(ctx)}' does not take '{shortened(words, _LONGEST_WORD)}'."
    if any("--id" in param.opts for param in ctx.command.params) and _is_job(words):
        return f"{text} Did you mean '{ctx.command_path} --id {words}'?"
    return text


def _unknown_option(ctx: click.Context, name: str) -> str:
    known = [each for param in ctx.command.get_params(ctx) for each in (*param.opts, *param.secondary_opts)]
    close = get_close_matches(name.lower(), [each for each in known if each.startswith("--")], n=1, cutoff=_SURELY)
    return f"No such option '{name}'." + (f" Did you mean '{close[0]}'?" if close else "")


def _of_value(error: click.BadParameter, param: click.Parameter) -> str:
    message = error.format_message()
    if (allowed := allowed_number(param.type)) is not None:
        value = re.search(r": '?(?P<word>.*?)'? is not ", message, re.DOTALL)
        given = f"'{shortened(value['word'], _LONGEST_WORD)}' is wrong: " if value else ""
        where = message.partition(": ")[0]
        return f"{where}: {given}{allowed}."
    if (found := _NO_CHOICE.search(message)) is not None:
        close = get_close_matches(found["word"].lower(), re.findall(r"'(.*?)'", found["known"]), n=1)
        return f"{message} Did you mean '{close[0]}'?" if close else message
    return message


def _path(ctx: click.Context) -> str:
    """Return a command as it is typed; one that has no name of its own leaves a space behind its group's."""
    return ctx.command_path.rstrip()


def _is_guest(word: str) -> bool:
    try:
        parse_guest(word)
    except ConfigError:
        return False
    return word.isdecimal()


def _is_job(word: str) -> bool:
    try:
        JobId.parse(word)
    except ConfigError:
        return False
    return True
