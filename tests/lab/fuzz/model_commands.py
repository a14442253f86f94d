"""The command line of the ZFS in memory: the ``zfs`` and ``zpool`` commands that zsr and the acts give."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.lab.fuzz.model import Model, RefusedError

_USAGE = Path(__file__).parents[2] / "unit/replicator/zfs/data/zfs-usage-2.3.2.txt"
_WITH_VALUE = ("-o", "-x", "-t", "-d", "-s", "-V", "-i", "-I")


def usage() -> str:
    """That of OpenZFS 2.3 without channel programs, so that zsr goes by commands."""
    return "\n".join(line for line in _USAGE.read_text().splitlines() if not line.strip().startswith("program "))


def split(words: Sequence[str], valued: Sequence[str] = _WITH_VALUE) -> tuple[list[tuple[str, str]], list[str]]:
    """Options with their values (empty where they have none), and what is left."""
    options, left, at = [], [], 0
    while at < len(words):
        word = words[at]
        if word in valued:
            options.append((word, words[at + 1]))
            at += 1
        elif word.startswith("-") and len(word) > 1:
            options.append((word, ""))
        else:
            left.append(word)
        at += 1
    return options, left


def execute(model: Model, argv: Sequence[str]) -> str:
    """Do a command; what it prints.

    Raises:
        RefusedError: it is refused.
    """
    if argv[:2] == ["zpool", "sync"]:
        return ""
    verb, words = argv[1], list(argv[2:])
    if verb in _READ:
        return _READ[verb](model, words)
    _CHANGE[verb](model, words)
    return ""


def properties(options: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Those that ``-o`` sets."""
    return {value.partition("=")[0]: value.partition("=")[2] for option, value in options if option == "-o"}


def given(options: Sequence[tuple[str, str]], letter: str) -> bool:
    """Whether a flag is there, alone or among others."""
    return any(not value and letter in option for option, value in options)


def _version(_: Model, __: list[str]) -> str:
    return "zfs-2.3.2-1\nzfs-kmod-2.3.2-1\n"


def _list(model: Model, words: list[str]) -> str:
    options, paths = split(words)
    asked = dict(options)
    kinds = {"filesystem", "volume"} | ({"snapshot", "bookmark"} if "all" in asked.get("-t", "") else set())
    kinds |= set(asked.get("-t", "").split(","))
    depth = int(asked["-d"]) if "-d" in asked else None if "-r" in asked else 0
    columns = asked.get("-o", "name").split(",")
    lines = []
    for path in paths:
        for name, row in model.rows(path, depth, kinds):
            lines.append("\t".join(name if key == "name" else _value(model, name, key, row) for key in columns))
    return "".join(f"{line}\n" for line in lines)


def _value(model: Model, name: str, key: str, row: dict[str, str]) -> str:
    if key in row:
        return row[key]
    if "#" in name or (key == "readonly" and "@" in name):
        return "-"
    return model.value(name, key)[0] if ":" in key or key == "readonly" else "-"


def _get(model: Model, words: list[str]) -> str:
    options, (keys, *names) = split(words)
    asked = dict(options)
    sources = set(asked["-s"].split(",")) if "-s" in asked else None
    columns = asked.get("-o", "name,property,value,source").split(",")
    lines = []
    for name in names:
        kinds = {"snapshot"} if "@" in name else {"filesystem", "volume"}
        row = dict(model.rows(name.partition("@")[0], 1 if "@" in name else 0, kinds))[name]
        own = list(model.at(name).properties) if "@" not in name else []
        for key in own if keys == "all" else keys.split(","):
            value, source = (row[key], "-") if key in row else model.value(name, key)
            if key in ("used", "available"):
                value = "1000000"
            if sources is None or source in sources:
                found = {"name": name, "property": key, "value": value, "source": source}
                lines.append("\t".join(found[column] for column in columns))
    return "".join(f"{line}\n" for line in lines)


def _snapshot(model: Model, words: list[str]) -> None:
    options, names = split(words)
    model.snapshot(names, properties(options))


def _bookmark(model: Model, words: list[str]) -> None:
    model.bookmark(*words)


def _destroy(model: Model, words: list[str]) -> None:
    options, [name] = split(words, ())
    if "#" in name:
        model.destroy_bookmark(name)
    elif "@" in name:
        dataset, _, shorts = name.partition("@")
        model.destroy_snapshots(dataset, shorts.split(","), defer=given(options, "d"))
    else:
        model.destroy(name, recursive=given(options, "r"))


def _rename(model: Model, words: list[str]) -> None:
    model.rename(*words)


def _rollback(model: Model, words: list[str]) -> None:
    options, [name] = split(words)
    model.rollback(name, recursive=given(options, "r"))


def _clone(model: Model, words: list[str]) -> None:
    options, [snapshot, name] = split(words)
    model.clone(snapshot, name, properties(options))


def _promote(model: Model, words: list[str]) -> None:
    model.promote(words[0])


def _set(model: Model, words: list[str]) -> None:
    values = [word for word in words if "=" in word]
    for name in (word for word in words if "=" not in word):
        for key, _, value in (each.partition("=") for each in values):
            if "@" in name:
                model.snap_at(name)[1].properties[key] = value
            else:
                model.at(name).properties[key] = (value, "local")


def _inherit(model: Model, words: list[str]) -> None:
    model.at(words[1]).properties.pop(words[0], None)


def _mount(model: Model, words: list[str]) -> None:
    data = model.at(words[0])
    if data.mounted:
        raise RefusedError(f"cannot mount '{data.name}': filesystem already mounted")
    data.mounted = True


def _unmount(model: Model, words: list[str]) -> None:
    data = model.at(words[0])
    if not data.mounted:
        raise RefusedError(f"cannot unmount '{data.name}': not currently mounted")
    data.mounted = False


def _create(model: Model, words: list[str]) -> None:
    options, [name] = split(words)
    if given(options, "p"):
        parts = name.split("/")
        for end in range(1, len(parts) + 1):
            if "/".join(parts[:end]) not in model.datasets:
                made = model.create("/".join(parts[:end]), mounted="canmount" not in properties(options))
                made.properties |= {key: (value, "local") for key, value in properties(options).items()}
        return
    data = model.create(name, "volume" if "-V" in dict(options) else "filesystem")
    data.properties |= {key: (value, "local") for key, value in properties(options).items()}


def _abort(model: Model, words: list[str]) -> None:
    raise RefusedError(f"'{words[-1]}' does not have any resumable receive state to abort")


_READ = {"version": _version, "list": _list, "get": _get}
_CHANGE = {
    "snapshot": _snapshot,
    "bookmark": _bookmark,
    "destroy": _destroy,
    "rename": _rename,
    "rollback": _rollback,
    "clone": _clone,
    "promote": _promote,
    "set": _set,
    "inherit": _inherit,
    "mount": _mount,
    "unmount": _unmount,
    "create": _create,
    "receive": _abort,
}
