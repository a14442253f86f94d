"""Every ``zsr`` command that a page or runbook shows is run for real, and ends as the page says."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest

from tests.support.command_line import Said, Zsr
from tests.support.pages import PAGES, ROOT, RUNBOOKS, blocks, zsr_commands
from tests.support.pools import Pools
from tests.support.verbs_env import NAME, VerbsEnv

SHOWN_AS_WRONG = {
    ("calendar", "next", "8:61"),
    ("create-local-job", "100-0", "alpha"),
    ("simulate", "wrong.toml"),
}
"""Commands with which a page shows an error: status 2."""

TRIED_ELSEWHERE = {
    ("guest", "move"),  # needs a second machine: tests/lab/test_moves.py
    ("guest", "recover", "--all-of"),  # alpha is this node: test_recover_elsewhere.py
    ("setup",),  # asks at a terminal: test_setup.py
}
"""Commands that another test types as they are meant; here they are refused with status 2."""

NEEDS_A_RECEIVER = {("notify", "test"), ("notify", "verify")}
"""No mail server runs here: the command says so with status 1."""

NOTIFY = (
    '[[notify]]\nname = "mail"\nurl = "mailto://zsr:secret@127.0.0.1:1?from=zsr@example.org&to=admin@example.org"\n'
)


def documented() -> list[tuple[str, ...]]:
    """All commands, each once; those that destroy last, what is open is closed before."""
    found = {tuple(command) for page in (*PAGES, *RUNBOOKS) for command in zsr_commands(page)}
    return sorted(found, key=lambda command: ("destroy" in command, "close" in command, command))


class DocumentedSite(VerbsEnv):
    """A guest that was replicated, with a replica kept aside, and the files that the pages speak of."""

    def __init__(self, pools: Pools, zsr: Zsr) -> None:
        super().__init__(pools, zsr)
        zsr.settings_path.write_text(zsr.settings_path.read_text() + NOTIFY)
        (day,) = (each for each in blocks(ROOT / "docs" / "simulate.md", "toml") if each.startswith("# day.toml"))
        for name, text in {"day": day, "day2": day, "scenario": day, "wrong": "start = 10\n"}.items():
            (zsr.folder / f"{name}.toml").write_text(text)
        zsr.monkeypatch.chdir(zsr.folder)
        zsr.well("run", "--id", "100-0")
        self.kept = self.diverge()
        self._cluster = zsr.cluster_path.read_text()

    def run(self, command: tuple[str, ...]) -> Said:
        """Run a command as the page shows it, with the names of this site."""
        self.zsr.cluster_path.write_text(self._cluster)
        if command[0] == "create-local-job":
            self.zsr.cluster_path.write_text(self._cluster.partition("[jobs")[0])
        folders = {place: f"{self.zsr.folder}/assets{place}" for place in ("/tmp/zsr", "/etc/prometheus/zsr")}
        names = {"NODE": "beta", "DATASET": self.kept, "NAME": "mail", **folders}
        if any("zsr-diverged/" in word for word in command):  # what is kept aside here is on beta
            names |= {"alpha": "beta"}
        words = [self.kept if "zsr-diverged/" in word else names.get(word, word) for word in command]
        words = [f"data:{NAME}" if word.startswith("local-zfs:") else word for word in words]
        self.zsr.monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"*/5\t2026-11-20T15:00:00\n")))
        return self.zsr(*words)


def statuses(command: tuple[str, ...]) -> set[int]:
    """The exit statuses with which a command may end."""
    if command in SHOWN_AS_WRONG or command[:2] == ("notify", "resend"):  # there is no such message here
        return {2}
    if command[:2] in TRIED_ELSEWHERE or command[:3] in TRIED_ELSEWHERE:
        return {2}
    if command[0] == "doctor":  # what is wrong with this site is not what the page is about
        return {0, 1, 2, 3}
    if command[:2] in NEEDS_A_RECEIVER:
        return {1}
    return {2} if command[0] == "check" else {0}  # critical: no daemon is running here


def test_every_command_that_is_documented_runs_and_ends_as_documented(
    pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = DocumentedSite(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))
    commands = [(*command, "--yes") if {"destroy", "reseed"} & {*command} and "--yes" not in command else command
                for command in documented()]  # fmt: skip
    assert len(commands) > 25

    wrong = []
    for command in commands:
        began = time.monotonic()
        said = site.run(command)
        if said.exit not in statuses(command) or "Traceback" in said.err:
            wrong.append((" ".join(command), said))
        assert time.monotonic() - began < 60

    assert wrong == []
