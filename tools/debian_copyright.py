"""The copyright file of zsr's Debian package: zsr's licence, and that of each library in it with its text."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_string
from email.message import Message
from pathlib import Path

_HEAD = """\
zsr: scheduled replication of ZFS guests between nodes
https://github.com/zsr-project/zsr

Copyright: the zsr developers

Licensed under the Apache License, Version 2.0, whose text is in
/usr/share/common-licenses/Apache-2.0 on Debian systems.

The package has the following Python libraries below /usr/lib/zsr, as their
authors published them. Each has its own licence, which follows.
"""
_APACHE = "The text is in /usr/share/common-licenses/Apache-2.0 on Debian systems."
_TEXTS = ("LICEN", "COPYING", "NOTICE", "AUTHORS", "COPYRIGHT")


def copyright_file(libraries: Path) -> str:
    """Return the file for the libraries that lie below a folder.

    Raises:
        SystemExit: a library does not say under which licence it is.
    """
    found = {folder.name: folder for folder in sorted(libraries.glob("*/*.dist-info"))}
    return _HEAD + "".join(_of(found[name]) for name in sorted(found) if not name.startswith("zsr-"))


def _of(folder: Path) -> str:
    about = message_from_string((folder / "METADATA").read_text(encoding="utf-8"))
    licence = _licence(about)
    if not licence:
        raise SystemExit(f"{folder.name} does not say under which licence it is.")
    texts = "".join(f"\n{text.strip()}\n" for text in _texts(folder))
    name = f"{about['Name']} {about['Version']}"
    return f"\n{'-' * 72}\n{name}: {licence}\n{_home(about)}{texts}"


def _licence(about: Message) -> str:
    if given := about.get("License-Expression"):
        return str(given)
    classes = [each.rpartition(" :: ")[2] for each in about.get_all("Classifier", []) if each.startswith("License ::")]
    return ", ".join(classes) or str(about.get("License", "")).strip().partition("\n")[0]


def _home(about: Message) -> str:
    places = [each.partition(", ")[2] for each in about.get_all("Project-URL", [])]
    place = about.get("Home-page") or next(iter(places), "")
    return f"{place}\n" if place else ""


def _texts(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name.upper().startswith(_TEXTS):
            text = path.read_text(encoding="utf-8", errors="replace")
            yield _APACHE if "Apache License" in text and "TERMS AND CONDITIONS FOR USE" in text else text
