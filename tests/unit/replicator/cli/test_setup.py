"""``zsr setup`` at a terminal: each answer is tried at once, and nothing is written before a person says yes."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from replicator.config.settings import load_settings
from tests.support.setup_env import SetupEnv, setup_env
from tests.support.setup_person import answer_about_this_node, answer_the_rest, answer_the_way, let_in
from tests.support.terminal import Terminal


@pytest.fixture
def env(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[SetupEnv]:
    with setup_env(tmp_path, capsys, monkeypatch) as running:
        yield running


@pytest.fixture
def both(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[SetupEnv]:
    """As `env`, and each host has settings of its own."""
    with setup_env(tmp_path, capsys, monkeypatch, apart=True) as running:
        yield running


def test_from_nothing_to_a_node_that_logs_in_with_a_key_of_its_own(env: SetupEnv) -> None:
    with env.at_terminal() as person:
        answer_about_this_node(person, env)
        answer_the_way(person, env)
        person.answer("Are they the same?", "y")
        let_in(env, person)
        answer_the_rest(person)
        person.answer("Write all this?", "y")
        person.end()

    assert env.fingerprint in person.seen
    assert load_settings(env.settings).ssh.keys == (str(env.key),)
    assert env.key.stat().st_mode & 0o777 == 0o600
    assert env.known_hosts.read_text().startswith(f"[127.0.0.1]:{env.port} ssh-ed25519 ")
    assert set(tomllib.loads(env.cluster.read_text())["jobs"]) == {"100-0", "101-0"}
    assert list((env.folder / "tmp").iterdir()) == []


def test_a_wrong_answer_is_asked_again_with_what_is_allowed(env: SetupEnv) -> None:
    with env.at_terminal() as person:
        person.answer("Its name", "al pha")
        person.expect("Wrong: letters, digits and hyphens")
        person.answer("Its name", "alpha")
        person.answer("Its address", "10.9.9.9")
        person.expect("Wrong: an address of this machine: 127.0.0.1")
        person.answer("Its address")
        person.answer("Its SSH port", "0")
        person.expect("Wrong: a port, 1 to 65535")
        person.answer("Its SSH port", "1")
        person.expect("nodes could not log in here.")
        person.answer("Take it all the same?", "n")
        person.answer("Its SSH port", str(env.port))
        person.answer("Its path", "tank/nope")
        person.expect("Create it there: zfs create -p tank/nope")
        person.answer("Its path")
        person.answer("Its name in zsr")
        person.answer("Replicate", "105")
        person.expect("Wrong: '105' is none of them")
        person.answer("Replicate", "web")
        person.answer("How often", "8:61")
        person.expect("Wrong: a calendar event")
        person.answer("How often")
        person.answer("Restore points", "x")
        person.expect("Wrong: ")
        person.answer("Restore points")
        person.answer("Private key", "/etc/hostname")
        person.expect("is no private key")
        person.answer("Private key")
        person.answer("Its name", "alpha")
        person.expect("Wrong: a name that no other node has")
        person.answer("Its name", "beta")
        person.answer("Its address", "127.0.0.1")
        person.answer("Its SSH port", "1")
        person.answer("Log in there as")
        person.expect("Could not connect to node beta")
        person.answer("Its address")


def test_a_host_key_that_is_not_confirmed_is_not_accepted(env: SetupEnv) -> None:
    with env.at_terminal() as person:
        answer_about_this_node(person, env)
        answer_the_way(person, env)
        person.answer("Are they the same?")
        person.expect("Then something else answers there.")
        person.expect("Its address")
        assert person.interrupt() == 1

    assert not env.known_hosts.exists()


def test_ssh_copy_id_adds_the_key_where_a_person_wants_that(env: SetupEnv) -> None:
    program = env.hosts.file("alpha", "ssh-copy-id")
    program.write_text(
        f'#!/bin/sh\necho "$@" >{env.folder}/copied\ncat "$2.pub" >>{env.hosts.server.authorized_keys}\n'
    )
    program.chmod(0o755)

    with env.at_terminal() as person:
        answer_about_this_node(person, env)
        answer_the_way(person, env)
        person.answer("Are they the same?", "y")
        person.answer("Next", "p")
        person.expect("It lets root in with a key.")
        person.interrupt()

    asked = (env.folder / "copied").read_text()
    assert f"-p {env.port}" in asked
    assert "StrictHostKeyChecking=yes" in asked
    assert not env.known_hosts.exists()


QUESTIONS = ["Its name", "Its path", "Private key", "Are they the same?", "Next", "Write all this?"]


class CtrlCError(Exception):
    """Ctrl-C is to be typed."""


def answer_until(question: str, person: Terminal, env: SetupEnv) -> None:
    """Answer until a question is asked, and raise CtrlCError there."""
    answered = person.answer

    def answer(question_: str, text: str = "") -> None:
        if question_ == question:
            person.expect(question)
            raise CtrlCError
        answered(question_, text)

    setattr(person, "answer", answer)  # noqa: B010 - in place of its method
    answer_about_this_node(person, env, "" if question == "Next" else f"{env.hosts.server.folder}/key")
    answer_the_way(person, env)
    person.answer("Are they the same?", "y")
    if question == "Next":
        person.answer("Next")
    answer_the_rest(person)
    person.answer("Write all this?")


@pytest.mark.parametrize("question", QUESTIONS)
def test_ctrl_c_at_a_question_changes_nothing(env: SetupEnv, question: str) -> None:
    before = env.files()
    with env.at_terminal() as person:
        with pytest.raises(CtrlCError):
            answer_until(question, person, env)
        status = person.interrupt()

    assert status == 1
    assert "Nothing was written." in person.seen
    assert "Traceback" not in person.seen
    assert env.files() == before


def test_without_a_yes_at_the_end_nothing_is_written(env: SetupEnv) -> None:
    before = env.files()
    with env.at_terminal() as person:
        answer_about_this_node(person, env, f"{env.hosts.server.folder}/key")
        answer_the_way(person, env)
        person.answer("Are they the same?", "y")
        answer_the_rest(person)
        person.answer("Write all this?")
        assert person.end() == 1

    assert env.files() == before


def test_run_again_each_default_is_what_is_set_up_and_nothing_changes(env: SetupEnv) -> None:
    env.with_answers(env.answers + '[metrics]\nprometheus = "http://127.0.0.1:1"\n')
    before = env.files()

    with env.at_terminal() as person:
        person.expect("[alpha]")
        person.type("\n")
        for question in (
            "Its address",
            "Its SSH port",
            "Its path",
            "Its name in zsr",
            "Replicate (numbers, all, none) [100]",
        ):
            person.answer(question)
        for question in ("How often", "Restore points", "Private key", "Its name", "Its address", "Its SSH port"):
            person.answer(question)
        person.answer("Log in there as")
        person.expect("Its host key is the one in known_hosts")
        person.answer("Path of the storage there")
        person.answer("Does zsr run there too")
        person.answer("Write its zsr.toml", "n")
        person.answer("May it log in here", "n")
        person.answer("Its name")
        person.answer("URL")
        person.answer("Its URL")
        person.answer("Take it all the same?", "y")
        person.answer("Write all this?", "y")
        person.expect("Nothing: the files here are as they should be.")
        person.end()

    assert env.files() == before


def test_the_answers_that_are_shown_do_the_same_without_questions(env: SetupEnv) -> None:
    with env.at_terminal("--show-answers") as person:
        answer_about_this_node(person, env, f"{env.hosts.server.folder}/key")
        answer_the_way(person, env)
        person.answer("Are they the same?", "y")
        answer_the_rest(person)
        person.answer("Write all this?", "y")
        person.end()
    before = env.files()

    shown = person.seen[person.seen.index("# Answers for: zsr setup --answers FILE") :]
    said = env.with_answers(shown)

    assert "Nothing: the files here are as they should be." in said.out
    assert env.files() == before


class TestBothSides:
    def set_up(self, both: SetupEnv) -> Terminal:
        with both.at_terminal() as person:
            answer_about_this_node(person, both, f"{both.hosts.server.folder}/key")
            answer_the_way(person, both)
            person.answer("Are they the same?", "y")
            answer_the_rest(person, files="y", way_back="y")
            person.answer("Write all this?", "y")
            person.end()
        return person

    def test_the_other_node_gets_its_files(self, both: SetupEnv) -> None:
        self.set_up(both)

        theirs = load_settings(both.on_beta / "zsr.toml")
        assert theirs.node == "beta"
        assert theirs.cluster.path == both.on_beta / "cluster.toml"
        assert theirs.cluster.path.read_text() == both.cluster.read_text()
        assert {path.stat().st_mode & 0o777 for path in both.on_beta.glob("*.toml")} == {0o600}

    def test_the_other_node_can_log_in_here_with_a_key_of_its_own(self, both: SetupEnv) -> None:
        self.set_up(both)

        key = both.hosts.server.folder / ".ssh" / "zsr_ed25519"
        assert load_settings(both.on_beta / "zsr.toml").ssh.keys == (str(key),)
        login = [
            "ssh",
            "-i",
            str(key),
            "-p",
            str(both.port),
            "-o",
            f"UserKnownHostsFile={key.with_name('known_hosts')}",
        ]
        options = ["-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-F", "none"]
        subprocess.run([*login, *options, "127.0.0.1", "true"], check=True, capture_output=True)

    def test_settings_that_the_other_node_has_stay(self, both: SetupEnv) -> None:
        (both.on_beta / "zsr.toml").write_text('node = "beta"   # mine\n')

        person = self.set_up(both)

        assert (both.on_beta / "zsr.toml").read_text() == 'node = "beta"   # mine\n'
        assert "it stays as it is" in " ".join(person.seen.split())

    def test_a_cluster_file_that_the_other_node_has_stays(self, both: SetupEnv) -> None:
        text = '[nodes.beta]\naddress = "10.0.0.12"   # mine\n'
        (both.on_beta / "cluster.toml").write_text(text)

        person = self.set_up(both)

        assert (both.on_beta / "cluster.toml").read_text() == text
        assert "zsr cluster diff beta" in " ".join(person.seen.split())
