"""A command line that every login shell reads the same, and what the shell prints apart from what the command does."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicator.hosts.remote_shell import BEGIN, printed, remote_command

SHELLS = ["sh", "bash", "dash", "zsh", "tcsh", "fish", "ksh", "rbash"]
SHOW = [sys.executable, "-c", "import json, os, sys; print(json.dumps([sys.argv[1:], os.environ['LC_ALL']]))"]
"""A command that shows the words that it got."""

HARD = [
    "tank/data/vm-100-disk-0@__replicate_100-0_1__",
    "it's",
    'a "quoted" word',
    "back\\slash \\n \\'",
    "two\nlines\n",
    "!history !! !$",
    "$HOME $(id) `id` ${x}",
    "%s %%n %0134",
    "~ ~root =ls *.py ? [a] {a,b} ^ # ; & | < >",
    "tab\there",
    "",
    "ä€",
]


def run(shell: str, argv: list[str], *, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    """What a login shell does that sshd gives this command line."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell}")
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home or "/"), "SSH_CLIENT": "127.0.0.1 1 2"}
    return subprocess.run(
        [program, "-c", remote_command(argv)], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("shell", SHELLS)
class TestAnyLoginShell:
    def test_hands_on_every_word_as_it_is(self, shell: str) -> None:
        done = run(shell, [*SHOW, *HARD])
        assert json.loads(printed(done.stdout).text) == [HARD, "C"], done.stderr

    def test_hands_on_plain_words_without_an_encoding(self, shell: str) -> None:
        words = [word for word in HARD if not set(word) & set("'\\!\n")]
        argv = ["sh", "-c", 'printf "%s|" "$@"; echo $LC_ALL', "sh", *words]
        assert "awk" not in remote_command(argv)
        done = run(shell, argv)
        assert printed(done.stdout).text == "".join(f"{word}|" for word in words) + "C\n", done.stderr

    def test_finds_the_tools_of_root_and_reports_the_status(self, shell: str) -> None:
        done = run(shell, ["sh", "-c", "echo $PATH; exit 7"])
        assert done.returncode == 7
        assert "/usr/sbin" in done.stdout

    def test_takes_as_many_names_as_one_command_has(self, shell: str) -> None:
        names = "tank/data@" + ",".join(f"__replicate_100-0_{number}__" for number in range(2000))
        done = run(shell, ["sh", "-c", 'printf %s "$1" | wc -c', "sh", names])
        assert printed(done.stdout).text.strip() == str(len(names)), done.stderr


PROFILES = {
    "bash": (".bashrc", "echo hello; echo warned >&2"),
    "zsh": (".zshenv", "echo hello; echo warned >&2"),
    "tcsh": (".tcshrc", "echo hello; sh -c 'echo warned >&2'"),
    "fish": (".config/fish/config.fish", "echo hello; echo warned >&2"),
}


@pytest.mark.parametrize("shell", PROFILES)
def test_what_a_profile_prints_is_apart_from_what_the_command_prints(shell: str, tmp_path: Path) -> None:
    name, text = PROFILES[shell]
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(f"{text}\n")
    done = run(shell, ["sh", "-c", "echo data; echo words >&2"], home=tmp_path)
    out, err = printed(done.stdout), printed(done.stderr)
    assert (out.text, err.text) == ("data\n", "words\n")
    if shell != "bash":  # of which sshd alone makes one that reads .bashrc, where Debian built it so
        assert (out.noise, err.noise) == ("hello", "warned")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_no_word_is_changed(words: list[str]) -> None:
    done = run("dash", [*SHOW, *words])
    assert json.loads(printed(done.stdout).text)[0] == words


def test_a_stream_begins_with_its_first_byte() -> None:
    assert f"echo {BEGIN}; " not in remote_command(["zfs", "send"], marked=False)
    assert f"echo {BEGIN} >&2" in remote_command(["zfs", "send"], marked=False)


def test_output_without_the_mark_is_left_as_it_is() -> None:
    assert printed("This account is not available.\n").text == "This account is not available.\n"
    assert not printed("").begun
