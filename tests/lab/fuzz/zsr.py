"""Runs of zsr in this process, runs that die, and other commands. What it remembers is read with SQLite."""

from __future__ import annotations

import asyncio
import io
import sqlite3
import sys
import time
from contextlib import closing, redirect_stderr, redirect_stdout

from replicator.cli.main import main
from tests.lab.fuzz.configuration import Configuration, cluster_toml
from tests.lab.fuzz.ledger import Said
from tests.lab.fuzz.machine import FOLDER
from tests.lab.fuzz.played_on import Machine


def write_files(configuration: Configuration) -> None:
    """The settings and cluster files of all sources."""
    for node in configuration.sources():
        folder = FOLDER / node
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "zsr.toml").write_text(
            f'node = "{node}"\nstate_dir = "{folder}/state"\ncontrol = "{folder}/control.sock"\n'
            f'[cluster]\npath = "{folder}/cluster.toml"\n'
            f"[zfs]\nbookmarks = {str(configuration.bookmarks).lower()}\n"
        )
        (folder / "cluster.toml").write_text(cluster_toml(configuration, node))


def forget(node: str) -> None:
    """Lose ``state.db``."""
    for path in (FOLDER / node / "state").glob("state.db*"):
        path.unlink()


def command(node: str, *arguments: str) -> tuple[int, str]:
    """Run a command of zsr in this process; its exit status, and what it wrote."""
    words, before = io.StringIO(), sys.argv
    sys.argv = ["zsr", "--config", str(FOLDER / node / "zsr.toml"), *arguments]
    with redirect_stdout(words), redirect_stderr(words):
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            sys.argv = before
    return status, words.getvalue()


def run(node: str, job: str) -> Said:
    """Run a job."""
    began = time.time()
    status, words = command(node, "run", "--id", job)
    return _asked(node, job, Said(status, words, began=began, ended=time.time()))


def die(machine: Machine, node: str, job: str, step: str, number: int) -> Said:
    """Run a job that dies at a step; a run that does not come there ends as usual."""
    began = time.time()
    code = machine.die(lambda: command(node, "run", "--id", job)[0], step, number)
    return _asked(node, job, Said(code, "killed" if code < 0 else "", began=began, ended=time.time()))


def _asked(node: str, job: str, said: Said) -> Said:
    path = FOLDER / node / "state" / "state.db"
    if not path.exists():
        return said
    with closing(sqlite3.connect(path)) as db:
        row = db.execute(
            "SELECT last_sync, error_class, message, advice FROM job_state WHERE job = ?", (job,)
        ).fetchone()
        newest = db.execute("SELECT max(id) FROM runs WHERE job = ?", (job,)).fetchone()[0]
        lines = db.execute("SELECT level, text FROM run_log WHERE run = ? ORDER BY number", (newest,)).fetchall()
    last_sync, error_class, message, advice = row or (None, None, None, None)
    fulls = tuple(text.partition(": full,")[0] for _, text in lines if ": full, " in text)
    log = tuple(f"{level}: {text}" for level, text in lines)
    return Said(
        said.status, said.words, error_class or "", message or "", advice or "", last_sync, fulls,
        said.began, said.ended, log,
    )  # fmt: skip


def is_known(setting: str) -> bool:
    """Whether this zsr has a setting of jobs."""
    from replicator.cluster.job_fields import FIELDS

    return any(field.name == setting for field in FIELDS)


def warm_up() -> None:
    """Import what commands import late, so that forked processes have it."""
    for arguments in (("list", "--help"), ("run", "--help"), ("adopt", "--help"), ("delete", "--help")):
        command("alpha", *arguments)
    asyncio.new_event_loop().close()
