"""A played ``zfs`` for both sides of a transfer: each of its orders does what a test says, in shell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from replicator.zfs.commands import LISTED

USAGE = Path(__file__).parents[1] / "unit/replicator/zfs/data/zfs-usage-2.3.2.txt"

_SCRIPT = """\
#!/bin/sh
echo "$*" >> {calls}
case "$1 $2" in
" ") cat {usage} >&2; exit 2 ;;
"version ") echo zfs-2.3.2-1; exit 0 ;;
"send -nvP") . {folder}/estimate ;;
"send "*) . {folder}/send ;;
"receive -A") . {folder}/abort ;;
"list -Hp") . {folder}/list ;;
"get -Hp") . {folder}/get ;;
"receive "*) . {folder}/receive ;;
"set "*) exit 0 ;;
*) echo "not played: $*" >&2; exit 9 ;;
esac
"""


class PlayedZfs:
    """The orders and what they do; ``calls`` has the arguments of each order that was given."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._calls = folder / "calls"
        self._calls.touch()
        program = folder / "zfs"
        program.write_text(_SCRIPT.format(calls=self._calls, usage=USAGE, folder=folder))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=":")
        self.play(estimate="echo size 5000", send="echo stream", receive="cat >/dev/null", abort=":", list=":", get=":")

    def play(self, **orders: str) -> None:
        """Say what orders do: ``estimate``, ``send``, ``receive``, ``abort``, ``list``, ``get``."""
        for order, shell in orders.items():
            (self._folder / order).write_text(shell + "\n")

    def show(self, tokens: Mapping[str, str]) -> None:
        """Let ``list`` show filesystems with these resume tokens."""
        columns = dict.fromkeys(LISTED, "-") | {"type": "filesystem", "guid": "1", "createtxg": "1", "creation": "1"}
        rows = (columns | {"name": name, "receive_resume_token": token} for name, token in tokens.items())
        text = "\n".join("\t".join(row.values()) for row in rows)
        self.play(list=f"cat <<'EOF'\n{text}\nEOF")

    @property
    def calls(self) -> list[str]:
        """The orders so far."""
        return self._calls.read_text().splitlines()

    def dropped(self) -> list[str]:
        """The datasets whose half-received state was dropped."""
        return [call.split()[-1] for call in self.calls if call.startswith("receive -A")]
