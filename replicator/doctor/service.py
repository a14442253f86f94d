"""What is known of zsr itself on this node: settings, daemon, unit, state.db, disks. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from replicator.api.doctor import Level, Line, Subject
from replicator.common.sizes import size
from replicator.daemon.health_check import HealthFinding, HealthLevel, daemon_findings, settings_findings
from replicator.doctor import catalogue
from replicator.errors import ZsrError
from replicator.models import GuestId

_LEVELS = {
    HealthLevel.OK: Level.OK,
    HealthLevel.WARNING: Level.WARN,
    HealthLevel.CRITICAL: Level.FAIL,
    HealthLevel.UNKNOWN: Level.UNKNOWN,
}
_MORE = "See: zsr check --verbose"
_COMMANDS = ("systemctl ", "zsr ")

LEAST_BYTES = 200 * 2**20
LEAST_PART = 0.05
"""What should be free on the disk of state.db and of the cluster file, in bytes and as a part of it."""


def settings(node: str, problems: Iterable[str], paths: str) -> list[Line]:
    """Return the lines about wrong settings: one for each wrong key of the texts that ``zsr config check`` prints."""
    subject = Subject(catalogue.SETTINGS, node)
    texts = []
    for problem in problems:
        heading, *keys = problem.splitlines()
        file = heading.partition(": ")[0]
        texts += [f"{file}: {key.strip()}" for key in keys] or [heading]
    found = [subject.fail(each, "Correct it, then: zsr config check") for each in texts]
    return found or [subject.ok(f"Right: {paths}.")]


def hidden_settings(node: str, files: Iterable[object]) -> list[Line]:
    """Return the lines about settings that this user may not read."""
    subject = Subject(catalogue.SETTINGS, node)
    return [subject.unknown(f"This user may not read {file}.", "Run zsr doctor as root.") for file in files]


def daemon(node: str, status: Mapping[str, Any] | None) -> list[Line]:
    """Return the lines about the daemon; ``status``: what it answers, None: none runs."""
    subject = Subject(catalogue.DAEMON, node)
    if status is None:
        text = "No daemon is running, so nothing is replicated."
        return [subject.fail(text, "Start it: systemctl enable --now zsr")]
    if not status["ready"]:
        why = "; ".join(status.get("not_ready", ())) or "It has not said why."
        return [subject.warn(f"The daemon runs but is not ready: {why}", "Wait a minute, then: journalctl -u zsr")]
    other = {HealthFinding(each.level, each.text) for each in settings_findings(status)}
    found = [each for each in daemon_findings(status, (), promise_only=False) if each not in other]
    lines = [_line(subject, each) for each in found if each.level is not HealthLevel.OK]
    return lines or [subject.ok(f"It runs (zsr {status['version']}), and is ready.")]


def reload(node: str, status: Mapping[str, Any] | None) -> list[Line]:
    """Return the lines about settings that the daemon has not taken over."""
    subject = Subject(catalogue.RELOAD, node)
    if status is None:
        return [subject.off("No daemon is running, so it will read all settings when it starts.")]
    found = [_line(subject, each) for each in settings_findings(status)]
    return found or [subject.ok("The daemon has taken over all settings.")]


def _line(subject: Subject, finding: HealthFinding) -> Line:
    """Return a finding of ``zsr check``, whose last part is what to do, where it has several."""
    what, _, todo = finding.text.rpartition("; ")
    text, advice = (what, todo if todo.startswith(_COMMANDS) else _sentence(todo)) if what else (finding.text, _MORE)
    return Line(subject.check, subject.node, _LEVELS[finding.level], f"{_sentence(text)}.", advice)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}".rstrip(".")


def unit(node: str, shown: Mapping[str, str] | None) -> list[Line]:
    """Return the lines about the service; ``shown``: by ``systemctl show``, None where there is no systemd."""
    subject = Subject(catalogue.UNIT, node)
    if shown is None:
        return [subject.off("No systemd runs here, so something else has to start the daemon.")]
    if shown.get("LoadState") == "not-found":
        text = "There is no zsr.service, so nothing starts the daemon after a reboot."
        return [
            subject.warn(text, "Copy packaging/zsr.service to /etc/systemd/system, then: systemctl enable --now zsr")
        ]
    if shown.get("LoadState") != "loaded":
        return [subject.fail("zsr.service cannot be loaded.", "See: systemctl status zsr")]
    lines = []
    if shown.get("NeedDaemonReload") == "yes":
        lines.append(subject.warn("zsr.service was changed and not read again.", "systemctl daemon-reload"))
    if shown.get("ActiveState") == "failed":
        why = f"zsr.service has failed ({shown.get('Result') or 'no reason'})."
        lines.append(subject.fail(why, "See: journalctl -u zsr -n 50; then: systemctl restart zsr"))
    if shown.get("UnitFileState") not in ("enabled", "enabled-runtime", "static", "generated", "alias"):
        lines.append(subject.warn("zsr.service is not started after a reboot.", "systemctl enable zsr"))
    return lines or [subject.ok("zsr.service is started at boot.")]


def unit_properties(printed: str) -> dict[str, str]:
    """Read ``systemctl show``."""
    pairs = (line.partition("=") for line in printed.splitlines())
    return {key: value for key, sign, value in pairs if sign}


@dataclass(frozen=True, slots=True)
class StateFile:
    """What is known of state.db.

    Attributes:
        path: where it is.
        exists: whether there is one.
        error: why it cannot be read.
        damage: what a search of the whole file found.
        may_read: whether this user may read it.
    """

    path: str
    exists: bool = True
    error: ZsrError | None = None
    damage: str | None = None
    may_read: bool = True


def state(node: str, file: StateFile) -> Line:
    """Return the line about state.db."""
    subject = Subject(catalogue.STATE, node)
    if not file.may_read:
        return subject.unknown(f"This user may not read {file.path}.", "Run zsr doctor as root.")
    if not file.exists:
        return subject.ok(f"There is no {file.path} yet; the daemon makes it.")
    if file.error is not None:
        return subject.failed(file.error)
    if file.damage is not None:
        text = f"{file.path} is damaged: {file.damage}."
        return subject.fail(text, "systemctl restart zsr: it is moved aside and built again; only history is lost.")
    return subject.ok(f"{file.path} is sound.")


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system of a folder: its bytes, and whether it is read-only; ``error``: why it cannot be asked."""

    folder: str
    total: int = 0
    free: int = 0
    inodes_free: int | None = None
    read_only: bool = False
    error: str = ""


def disks(node: str, found: Iterable[Disk]) -> list[Line]:
    """Return the lines about the disks of state.db and of the cluster file."""
    subject, every = Subject(catalogue.DISK, node), list(found)
    lines = [line for disk in every if (line := _disk(subject, disk)) is not None]
    return lines or [subject.ok(f"Room enough: {', '.join(f'{d.folder} ({size(d.free)} free)' for d in every)}.")]


def _disk(subject: Subject, disk: Disk) -> Line | None:
    if disk.error:
        return subject.unknown(f"The disk of {disk.folder} could not be looked at: {disk.error}.")
    if disk.read_only:
        text = f"The file system of {disk.folder} is read-only: nothing can be remembered, and nothing is destroyed."
        return subject.fail(text, "See the kernel's log (dmesg) for the reason, and mount it again.")
    if disk.inodes_free == 0 or disk.free == 0:
        return subject.fail(f"The disk of {disk.folder} is full.", "Free space there.")
    if disk.free < LEAST_BYTES and disk.free < disk.total * LEAST_PART:
        text = f"The disk of {disk.folder} has only {size(disk.free)} left."
        return subject.warn(text, "Free space there: on a full disk zsr destroys nothing, and targets fill up.")
    return None


@dataclass(frozen=True, slots=True)
class HookProgram:
    """The program that a command of a guest begins with.

    Attributes:
        guest, name: whose command, and which: ``freeze``, ``runtime.start``, ...
        program: its first word.
        found: its path; None: there is none.
        may_run: whether it is executable.
        writable: who else may change it; None: nobody.
    """

    guest: GuestId
    name: str
    program: str
    found: str | None
    may_run: bool = True
    writable: str | None = None


def hooks(node: str, programs: Iterable[HookProgram], refused: Iterable[str]) -> list[Line]:
    """Return the lines about the commands of guests; ``refused``: sentences about those that are never run."""
    subject, every = Subject(catalogue.HOOKS, node), list(programs)
    lines = [subject.fail(each, "ls -ld the file and its folder; only root may write them.") for each in refused]
    lines += [line for each in every if (line := _hook(subject, each)) is not None]
    if lines:
        return lines
    if not every:
        return [subject.off("No guest of this node has a hook or a runtime.")]
    return [subject.ok(f"The programs of {len(every)} commands of guests are there, and only root may change them.")]


def _hook(subject: Subject, hook: HookProgram) -> Line | None:
    what = f"{hook.name} of guest {hook.guest}"
    if hook.found is None:
        return subject.fail(
            f"{what}: there is no program '{hook.program}'.", "Install it, or correct the cluster file."
        )
    if not hook.may_run:
        return subject.fail(f"{what}: {hook.found} is not executable.", f"chmod +x {hook.found}")
    if hook.writable is not None:
        text = f"{what}: zsr runs it as root, and {hook.writable}."
        return subject.fail(text, "Let only root write the file and its folder: chmod go-w")
    return None
