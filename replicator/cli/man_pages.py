"""Manual pages, made of the commands themselves as ``--help`` is: zsr(1), and one page for each verb. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import click

_FILES = (
    ("/etc/zsr/zsr.toml", "Settings of this node."),
    ("/etc/zsr/cluster.toml", "Nodes, storages, guests and jobs: the same on every node."),
    ("/var/lib/zsr", "What happened on this node: history only. What was replicated is known to ZFS itself."),
)
_STATUS = (("0", "Success."), ("1", "Failure."), ("2", "Wrong use or wrong settings; nothing was changed."))


def man_pages(command: click.Command, name: str, version: str) -> Mapping[str, str]:
    """Return the pages of a command and of all below it, by file name, like ``zsr-status.1``."""
    pages = {}
    for path, each, context in _commands(command, (name,), None):
        title = "-".join(path)
        below = _below(each, context)
        pages[f"{title}.1"] = _page(title, each, context, version, [*below, *_see_also(path)])
    return pages


def _commands(
    command: click.Command, path: tuple[str, ...], parent: click.Context | None
) -> Iterator[tuple[tuple[str, ...], click.Command, click.Context]]:
    context = click.Context(command, info_name=path[-1], parent=parent)
    yield path, command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            each = command.get_command(context, name)
            if each is not None and not each.hidden:
                yield from _commands(each, (*path, name), context)


def _below(command: click.Command, context: click.Context) -> list[str]:
    if not isinstance(command, click.Group):
        return []
    lines = [".SH COMMANDS"]
    for name in command.list_commands(context):
        each = command.get_command(context, name)
        if each is not None and not each.hidden:
            lines += [".TP", f"\\fB{_escaped(name)}\\fR", _escaped(each.get_short_help_str(limit=200))]
    return lines


def _page(title: str, command: click.Command, context: click.Context, version: str, more: list[str]) -> str:
    summary = command.get_short_help_str(limit=200).rstrip(".")
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [
        f'.TH "{title.upper()}" "1" "" "zsr {_escaped(version)}" "zsr"',
        ".nh",
        ".ad l",
        ".SH NAME",
        f"{_escaped(title)} \\- {_escaped(summary)}",
        ".SH SYNOPSIS",
        f"\\fB{_escaped(context.command_path)}\\fR {_escaped(usage)}",
        ".SH DESCRIPTION",
        *_paragraphs(command.help or ""),
        *_options(command, context),
        *more,
    ]
    return "\n".join(lines) + "\n"


def _paragraphs(text: str) -> Iterator[str]:
    """Yield the lines of a help text; a block that click does not wrap keeps its line breaks."""
    for block in re.split(r"\n\s*\n", text.strip()):
        yield ".PP"
        lines = [line.strip() for line in block.splitlines()]
        if lines and lines[0] == "\b":
            yield ".nf"
            yield from (_escaped(line) for line in lines[1:])
            yield ".fi"
        else:
            yield _escaped(" ".join(lines))


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    records = [each.get_help_record(context) for each in command.get_params(context)]
    yield ".SH OPTIONS"
    for record in records:
        if record is not None and record[1]:  # an argument without words is in the synopsis
            yield ".TP"
            yield f"\\fB{_escaped(record[0])}\\fR"
            yield _escaped(" ".join(record[1].split()))


def _see_also(path: tuple[str, ...]) -> Iterator[str]:
    yield ".SH EXIT STATUS"
    yield from _terms(_STATUS)
    yield ".SH FILES"
    yield from _terms(_FILES)
    yield ".SH SEE ALSO"
    yield "zfs(8), zfs\\-send(8), zfs\\-receive(8), systemctl(1)" + (", zsr(1)" if len(path) > 1 else "")


def _terms(rows: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for term, text in rows:
        yield from (".TP", f"\\fB{_escaped(term)}\\fR", _escaped(text))


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("|", "|\\:")  # a line may end after a bar
    return f"\\&{text}" if text.startswith((".", "'")) else text
