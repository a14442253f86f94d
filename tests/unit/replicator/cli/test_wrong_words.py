"""The law of wrong command lines: a sentence that names the word and what to type, status 2, and nothing done."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import Zsr

LONG = "a" * 5000
CLUSTER = """\
[groups.home]
node = "alpha"
volumes = ["local-zfs:home"]
[jobs.100-0]
target = "beta"
[jobs.200-0]
target = "gamma"
"""


@pytest.fixture
def zsr(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Zsr:
    found = Zsr.on_alpha(tmp_path, capsys, monkeypatch)
    with found.cluster_path.open("a") as file:
        file.write(CLUSTER)
    return found


def files(folder: Path) -> dict[str, bytes]:
    """What each file has; the locks of files are none."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


WRONG = [
    # a command that does not exist
    ("stauts", "No such command 'stauts'. Did you mean 'status'?"),
    ("stat", "Did you mean 'status'?"),
    ("creat 100-1 gamma", "Did you mean 'zsr create-local-job ID TARGET'?"),
    ("create 100-1 gamma", "Did you mean 'zsr create-local-job ID TARGET'?"),
    ("rm 100-0", "Did you mean 'zsr delete ID'?"),
    ("remove 100-0", "Did you mean 'zsr delete ID'?"),
    ("failover 100", "Did you mean 'zsr guest recover ID'?"),
    ("migrate 100 beta", "Did you mean 'zsr guest move ID NODE'?"),
    ("restore 100-0", "Did you mean 'zsr restore-points open ID'?"),
    ("sync 100-0", "Did you mean 'zsr run --id ID'?"),
    ("start", "Did you mean 'systemctl restart zsr', or 'zsr run --id ID'?"),
    ("stop 100-0", "Did you mean 'zsr cancel ID', or 'systemctl stop zsr'?"),
    ("show 100-0", "Did you mean 'zsr status ID', or 'zsr read ID'?"),
    ("jobs", "Did you mean 'zsr list'?"),
    ("init", "Did you mean 'zsr setup'?"),
    ("help status", "Did you mean 'zsr --help', or 'zsr COMMAND --help'?"),
    ("version", "Did you mean 'zsr --version'?"),
    ("upgrade", "or of a job's settings 'zsr update ID'?"),
    ("completion bash", "Did you mean 'zsr assets export DIR'?"),
    ("xyzzy", "No such command 'xyzzy'. Known: adopt, assets, "),
    ("guest lst", "Did you mean 'list'?"),
    ("guest 100", "Did you mean 'zsr guest replicas 100'?"),
    ("guest failover 100", "Did you mean 'zsr guest recover ID'?"),
    ("cluster pull", "Did you mean 'zsr cluster push', typed on the other node, or 'zsr cluster diff'?"),
    ("cluster check", "Did you mean 'zsr config check'?"),
    ("config show", "Did you mean 'zsr config check', or of a job 'zsr read ID'?"),
    ("diverged rm beta x", "Did you mean 'zsr diverged destroy NODE DATASET'?"),
    ("notify send", "Did you mean 'zsr notify test'?"),
    ("restore-points list 100-0", "Did you mean 'zsr restore-points ID'?"),
    ("restore-points opn 100-0", "Did you mean 'open'?"),
    ("restore-points 100-0 open", "The command comes first: zsr restore-points open 100-0"),
    # options
    ("guest list --on beta", "No such option '--on'."),
    ("update 100-0 --RATE 5", "No such option '--RATE'. Did you mean '--rate'?"),
    ("update 100-0 --rat 5", "No such option '--rat'. Did you mean '--rate'?"),
    ("restore-points --format json", "Missing argument 'ID'."),
    ("run --id ", "'' is not a job id."),
    ("list --fromat json", "No such option '--fromat'. Did you mean '--format'?"),
    ("list --format JSON", "Did you mean 'json'?"),
    ("notify explain --event faild", "Did you mean 'failed'?"),
    ("run --id 100-0 --id 101-0", "Give --id once"),
    ("update 100-0 --rate 5 --rate 6", "Give --rate once"),
    ("update 100-0 --disable --no-disable", "Give --disable or --no-disable once"),
    ("disable 100-0 --for 1h --for 2h", "Give --for once"),
    ("update 100-0 --delete rate --rate 5", "--delete rate and --rate exclude each other"),
    ("update 100-0 --delete ,", "There is nothing to change."),
    ("update 100-0 --target gamma", "Create another job to gamma"),
    ("log 100-0 --runs --follow", "leave out --run and --follow"),
    ("delete 100-0 --keep --force", "Give one of them."),
    ("guest recover 200 --all-of beta", "Give either the ID of a guest or --all-of NODE."),
    ("disable 100-0 --node beta", "Give either the ID of a job or --node NODE."),
    ("calendar next --batch */5", "leave SPEC out"),
    # words that are too many or too few
    ("run 100-0", "Did you mean 'zsr run --id 100-0'?"),
    ("vanished list 100-0", "Did you mean 'zsr vanished list --id 100-0'?"),
    ("list extra", "'zsr list' does not take 'extra'."),
    ("disable 100-0 101-0", "'zsr disable' does not take '101-0'."),
    ("read", "Missing argument 'ID'."),
    # numbers
    ("calendar next */5 --count 0", "'0' is wrong: a whole number from 1 to 100000."),
    ("calendar next */5 --count many", "'many' is wrong: a whole number from 1 to 100000."),
    ("guest move 100 beta --until -5", "is wrong: a number from 0 to 86400."),
    ("guest move 100 beta --until soon", "'soon' is wrong: a number from 0 to 86400."),
    ("doctor --timeout 0", "is wrong: a number from 1 to 3600."),
    ("log 100-0 --run first", "'first' is wrong: a whole number."),
    ("update 100-0 --rate 0", "at least 1 (MB per second) and at most 1000000"),
    ("update 100-0 --rate 1e300", "at least 1 (MB per second) and at most 1000000"),
    ("update 100-0 --rate nan", "at least 1 (MB per second)"),
    ("update 100-0 --rate 10MB/s", "'10MB/s' is wrong: a number"),
    ("update 100-0 --keep 0", "1 to 10000"),
    ("update 100-0 --rpo 30min", "'90s', '15m'"),
    ("disable 100-0 --for -2h", "'90s', '15m'"),
    # schedules, times and zones
    ("update 100-0 --schedule daly", "did you mean 'daily'?"),
    ("calendar next noon", "did you mean '12:00'?"),
    ("calendar next every\xa0monday", "did you mean 'mon'?"),
    ("calendar next 12am", "did you mean '0:00'?"),
    ("update 100-0 --schedule @hourly", "did you mean 'hourly'?"),
    ("update 100-0 --schedule 5m", "did you mean '*/5'?"),
    ("update 100-0 --schedule 24:00", "midnight is '0:00'"),
    ("update 100-0 --schedule *-2-30", "never fires: there is no such day, or it is over"),
    ("update 100-0 --timezone Mars", "'Mars' is no time zone; write one like 'Europe/Vienna'"),
    ("restore-points open 100-0 --at yesterday", "--at: 'yesterday' is no time: neither a date"),
    ("restore-points open 100-0 --at 2026-02-30", "--at: '2026-02-30' is no time"),
    ("restore-points open 100-0 --at -5", "--at: '-5' is before 1970."),
    ("guest recover 200 --restore-point 23.11.2026", "--restore-point: '23.11.2026' is no time"),
    ("calendar next */5 --after tomorrow", "--after: 'tomorrow' is no time"),
    # names
    (f"read {LONG}", "A job id is the guest's number (100 or more) or the group's name"),
    ("read 100", "'100' is not a job id."),
    ("read 999-0", "There is no job 999-0. Known jobs: 100-0, 200-0."),
    ("read \x1b[31m", "'^[[31m' is not a job id."),
    ("read \udcff", "'\\udcff' is not a job id."),
    ("status 200-0", "Node alpha has no job 200-0; its jobs: 100-0."),
    ("status --guest 999", "Node alpha has no job of guest 999"),
    ("run --id 999-0", "There is no job 999-0. Known jobs: 100-0, 200-0."),
    ("run --id 200-0", "Job 200-0 belongs to node beta, not to alpha. Type it there."),
    ("cancel 999-0", "There is no job 999-0."),
    ("cancel 200-0", "Job 200-0 belongs to node beta, not to alpha. Type it there."),
    ("schedule-now 200-0", "Job 200-0 belongs to node beta, not to alpha. Type it there."),
    ("plan 200-0", "Job 200-0 belongs to node beta, not to alpha."),
    ("guest replicas web", "There is no guest web. web is the name of guest 100."),
    ("guest replicas 100-0", "A guest is a number, 100 or more, or a name"),
    ("guest move 100 delta", "there is no such node. Nodes with zsr: beta, gamma."),
    ("guest move 100 alpha", "Guest 100 is on alpha already."),
    ("guest move 200 alpha", "Guest 200 is on beta."),
    ("guest move 100 beta --until nan", "nan is no number of seconds."),
    ("guest move 100 beta --until inf", "'inf' is wrong: a number from 0 to 86400."),
    ("guest take 200", "it is on beta. Move it, there: zsr guest move 200 alpha."),
    ("guest drill 101", "Create one: zsr create-local-job 101-0 NODE."),
    ("guest drill 100 --on gamma", "No job replicates guest 100 to gamma. Its targets: beta."),
    ("create-local-job 101-0 delta", "there is no such node; known: alpha, beta, gamma"),
    ("create-local-job 999-0 beta", "Add [guests.999] to the cluster file."),
    ("disable --node delta", "There is no node 'delta'. Known nodes: alpha, beta, gamma."),
    ("diverged list --node delta", "There is no node 'delta'. Known: alpha, beta, gamma."),
    ("diverged destroy beta rpool/data --yes", "See: zsr diverged list."),
    ("notify explain --event failed --target delta", "There is no node 'delta'. Known: alpha, beta, gamma."),
    ("notify test nope", "Add [[notify]] with name and url to the settings."),
    ("reseed 100-0 nope", "'nope' is no volume. Write storage:name"),
    ("restore-points open 100-0 --volume nope:x", "There is no storage 'nope'. Known storages: local-zfs."),
    # files
    ("--config /nope list", "There is no file '/nope'. Write one with at least: node = "),
    ("--config / list", "Could not read '/': Is a directory. Name a file in it."),
    (f"--config /{LONG} list", "File name too long. Name a shorter path."),
    ("--config /dev/zero list", "it has more than 16.0 MiB. Name the right file."),
    ("simulate /dev/zero", "it has more than 16.0 MiB. Name the right file."),
    ("setup --answers /", "Could not read '/': Is a directory. Name a file in it."),
]


@pytest.mark.parametrize(("words", "sentence"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_command_line_is_answered_and_changes_nothing(zsr: Zsr, words: str, sentence: str) -> None:
    before = files(zsr.folder)

    said = zsr(*words.split(" "))

    assert said.exit == 2, said
    assert sentence in said.err
    assert said.err.startswith("zsr: ")
    assert len(said.err) < 1500
    assert not any(trace in said.err for trace in ("Traceback", "\x1b", "pydantic", "Input should"))
    assert files(zsr.folder) == before


def test_an_empty_folder_is_none(zsr: Zsr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(zsr.folder)
    before = files(zsr.folder)
    said = zsr("assets", "export", "")
    assert (said.exit, files(zsr.folder)) == (2, before)
    assert "it is empty; the present folder is '.'" in said.err


def test_what_says_how_may_be_given_twice_as_an_alias_does(zsr: Zsr) -> None:
    assert zsr.well("list", "--format", "table", "--format", "json").json


def test_what_was_not_disabled_is_not_claimed_to_be_enabled(zsr: Zsr) -> None:
    assert zsr.well("enable", "100-0").err == "Job 100-0: was not disabled.\n"
    assert zsr.well("enable", "--node", "beta").err == "Node beta: was not disabled.\n"
    zsr.well("disable", "--node", "beta")
    assert "Node beta: enabled.\n" in zsr.well("enable", "--node", "beta").err


def test_a_promise_that_its_schedule_cannot_keep_is_noted(zsr: Zsr) -> None:
    said = zsr.well("update", "100-0", "--rpo", "30").err
    assert "Job 100-0: rpo 30s (was unset)." in said
    assert "promises a copy of at most 30 s, and its schedule has gaps of 15 min" in said


@pytest.mark.parametrize(
    ("redirected", "status", "sentence"),
    [
        (">&-", 0, ""),
        ("2>&-", 0, ""),
        (">&- 2>&- <&-", 0, ""),
        (">/dev/full", 1, "zsr: Could not write what was to be printed: No space left on device."),
        ("| head -c 1", 0, ""),
    ],
)
def test_output_that_goes_nowhere_is_no_traceback(zsr: Zsr, redirected: str, status: int, sentence: str) -> None:
    command = f"{sys.executable} -m replicator.cli.main --config {zsr.settings_path} list {redirected}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert done.stderr.strip() == sentence


def test_a_folder_that_is_gone_is_named(zsr: Zsr) -> None:
    gone = zsr.folder / "gone"
    gone.mkdir()
    command = f"cd {gone} && rmdir {gone} && {sys.executable} -m replicator.cli.main list"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
