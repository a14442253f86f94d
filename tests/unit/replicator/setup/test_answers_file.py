"""``zsr setup --answers FILE``: all is written or nothing, and what is wrong is named by its key."""

from __future__ import annotations

import re
import shlex
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from replicator.config.settings import load_settings
from tests.support.setup_env import SetupEnv


def test_the_files_follow_from_the_answers(env: SetupEnv) -> None:
    said = env.with_answers(env.answers)

    assert f"Wrote {env.folder}/etc/zsr.toml." in " ".join(said.out.split())
    assert load_settings(env.settings).ssh.keys == (f"{env.hosts.server.folder}/key",)
    cluster = tomllib.loads(env.cluster.read_text())
    assert list(cluster["nodes"]) == ["alpha", "beta"]
    assert cluster["guests"]["100"] == {"name": "web", "node": "alpha", "volumes": ["data:web"]}
    assert cluster["jobs"]["100-0"]["target"] == "beta"
    assert {env.settings.stat().st_mode & 0o777, env.cluster.stat().st_mode & 0o777} == {0o600}


def test_only_this_machine_itself_as_target_is_found_wrong_by_the_doctor_at_the_end(env: SetupEnv) -> None:
    said = env.with_answers(env.answers)

    assert said.exit == 1
    assert re.findall(r"^  FAIL +(\S+)", said.out.partition("zsr doctor")[2], re.MULTILINE) == ["machine"]


def test_a_second_run_changes_nothing(env: SetupEnv) -> None:
    env.with_answers(env.answers)
    before = env.files()

    said = env.with_answers(env.answers)

    assert "Nothing: the files here are as they should be." in said.out
    assert env.files() == before


def test_what_a_person_wrote_stays_and_a_copy_of_the_file_is_kept(env: SetupEnv) -> None:
    env.with_answers(env.answers)
    settings = env.settings.read_text().replace("node =", "# mine\nmax_parallel = 2   # two disks\nnode =")
    cluster = env.cluster.read_text() + '\n[guests.200]   # not by setup\nnode = "beta"\n'
    env.settings.write_text(settings)
    env.cluster.write_text(cluster)

    again = env.answers.replace("[[guests]]", "[[guests]]\nschedule = '22:00'")
    env.with_answers(again + '[metrics]\nprometheus = "http://10.9.9.9:9090"\n')

    assert env.settings.read_text().startswith(settings.rstrip("\n"))
    assert 'prometheus = "http://10.9.9.9:9090"' in env.settings.read_text()
    assert "[guests.200]   # not by setup" in env.cluster.read_text()
    assert 'schedule = "22:00"' in env.cluster.read_text()
    (kept,) = env.settings.parent.glob("zsr.toml.before-*")
    assert kept.read_text() == settings
    assert kept.stat().st_mode & 0o777 == 0o600
    (kept,) = env.cluster.parent.glob("cluster.toml.before-*")
    assert kept.read_text() == cluster


def test_a_key_that_is_not_there_is_to_be_made_before_and_the_command_for_that_works(env: SetupEnv) -> None:
    text = env.answers.replace(f"{env.hosts.server.folder}/key", str(env.key))

    said = env.with_answers(text)

    assert said.exit == 2
    assert "ssh.key" in said.err
    assert not env.key.exists()
    (command,) = re.findall(r"Make it: (ssh-keygen .*?)\. Add", said.err.replace("\n", " "))
    subprocess.run(shlex.split(command), check=True, capture_output=True)
    public = env.key.with_suffix(".pub").read_text()
    refused = env.with_answers(text)
    assert f"Add this line there to ~root/.ssh/authorized_keys: {' '.join(public.split()[:2])}" in refused.err
    with env.hosts.server.authorized_keys.open("a") as file:
        file.write(public)
    env.with_answers(text)
    assert load_settings(env.settings).ssh.keys == (str(env.key),)


WRONG = {
    "an address of another machine": (
        r'(\[node\]\nname = "alpha"\naddress = )"127.0.0.1"',
        r'\1"10.9.9.9"',
        "node.address = '10.9.9.9': an address of this machine: 127.0.0.1",
    ),
    "a storage that is not there": (
        'path = "tank/data"',
        'path = "tank/nope"',
        "storage.path = 'tank/nope': The dataset tank/nope",
    ),
    "a storage that is missing there": (
        "files = false",
        'files = false\npath = "tank/other"',
        "nodes.0.path = 'tank/other': The dataset tank/other of storage data does not exist on beta",
    ),
    "a volume that is not there": (
        '"data:web"',
        '"data:nope"',
        "guests.0.volumes = 'data:nope': a dataset below tank/data",
    ),
    "a port at which nobody answers": (
        r"(\[\[nodes\]\](?s:.)*?port = )\d+",
        r"\g<1>1",
        "nodes.0.address = '127.0.0.1': Could not connect to node beta",
    ),
    "files where there is no zsr": (
        "files = false",
        "files = true",
        "nodes.0.files = true: false, since zsr is not installed there",
    ),
    "a URL that is none": (
        r"\Z",
        '[notify]\nname = "a"\nurl = "mailto://x:geheim"\n',
        "notify.url = ...: the mail's sender has to be an address",
    ),
    "a target that takes no message": (
        r"\Z",
        '[notify]\nname = "a"\nurl = "json://x:geheim@127.0.0.1:1"\n',
        "notify.url = ...: one that takes a test message",
    ),
    "a key that is none": (
        r"key = .*",
        'key = "/etc/hostname"',
        "ssh.key = '/etc/hostname': '/etc/hostname' is no private key",
    ),
}


@pytest.mark.parametrize(("pattern", "to", "named"), WRONG.values(), ids=WRONG.keys())
def test_an_answer_that_does_not_hold_is_named_and_nothing_is_written(
    env: SetupEnv, pattern: str, to: str, named: str
) -> None:
    if "files = true" in to:
        env.hosts.file("beta", "zsr").unlink()
    before = env.files()
    text, count = re.subn(pattern, to, env.answers, count=1)
    assert count == 1

    said = env.with_answers(text)

    assert said.exit == 2
    assert named in said.err
    assert "nothing was written" in said.err
    assert "geheim" not in said.err + said.out
    assert env.files() == before


def test_all_wrong_answers_are_reported_at_once(env: SetupEnv) -> None:
    text = env.answers.replace('path = "tank/data"', 'path = "tank/nope"')
    text = re.sub(r"(host_key = \"SHA256:).{43}", r"\g<1>" + "A" * 43, text)

    said = env.with_answers(text)

    keys = re.findall(r"^  (\S+) =", said.err, re.MULTILINE)
    assert keys == ["storage.path", "guests.0.volumes", "nodes.0.host_key"]


class TestHostKey:
    def test_another_fingerprint_is_refused_with_how_to_compare(self, env: SetupEnv) -> None:
        text = re.sub(r"(host_key = \"SHA256:).{43}", r"\g<1>" + "A" * 43, env.answers)

        said = env.with_answers(text)

        assert said.exit == 2
        assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in said.err
        assert not env.known_hosts.exists()

    def test_the_right_one_is_added_to_known_hosts(self, env: SetupEnv) -> None:
        env.with_answers(env.answers)

        host_key = (env.hosts.server.folder / "host_key.pub").read_text().split()[:2]
        assert env.known_hosts.read_text().split() == [f"[127.0.0.1]:{env.port}", *host_key]

    def test_a_known_key_that_differs_is_never_replaced(self, env: SetupEnv) -> None:
        other = (env.hosts.server.folder / "key.pub").read_text().split()[:2]
        env.known_hosts.write_text(f"[127.0.0.1]:{env.port} {' '.join(other)}\n")
        before = env.files()

        said = env.with_answers(env.answers)

        assert said.exit == 2
        assert "nodes.0.host_key" in said.err
        assert env.files() == before


class TestWithoutTerminal:
    def test_nothing_is_asked(self, env: SetupEnv) -> None:
        said = env.without_answers()

        assert said.exit == 2
        assert "There is no terminal to ask at. Give the answers: zsr setup --answers FILE" in said.err

    def test_a_file_that_is_missing_is_wrong_use(self, env: SetupEnv) -> None:
        said = env.without_answers("--answers", "/nonexistent/answers.toml")

        assert said.exit == 2
        assert "There is no file '/nonexistent/answers.toml'." in said.err

    def test_settings_that_are_wrong_are_left_alone(self, env: SetupEnv) -> None:
        env.settings.write_text("node = [\n")

        said = env.with_answers(env.answers)

        assert said.exit == 2
        assert "is not TOML" in said.err
        assert env.settings.read_text() == "node = [\n"


def test_the_answers_that_are_shown_do_the_same_again(env: SetupEnv) -> None:
    shown = env.with_answers(env.answers, "--show-answers").out
    before = env.files()

    again = env.with_answers(shown, "--show-answers")

    assert again.out == shown
    assert env.files() == before


class _Taker(BaseHTTPRequestHandler):
    """Takes posts, and keeps their texts in its server."""

    def do_POST(self) -> None:
        self.server.taken.append(self.rfile.read(int(self.headers["Content-Length"])).decode())  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass


@pytest.fixture
def taker() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), _Taker) as server:
        server.taken = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_a_test_message_is_sent_before_the_target_is_written(env: SetupEnv, taker: HTTPServer) -> None:
    said = env.with_answers(f'{env.answers}[notify]\nname = "chat"\nurl = "json://127.0.0.1:{taker.server_port}"\n')

    assert "chat (json) took a test message." in " ".join(said.out.split())
    assert len(taker.taken) == 1  # type: ignore[attr-defined]
    assert tomllib.loads(env.settings.read_text())["notify"][0]["name"] == "chat"
    assert f"json://127.0.0.1:{taker.server_port}" not in said.out


def test_no_test_message_is_sent_where_none_is_wanted(env: SetupEnv, taker: HTTPServer) -> None:
    url = f"json://127.0.0.1:{taker.server_port}"

    env.with_answers(f'{env.answers}[notify]\nname = "chat"\nurl = "{url}"\ntest = false\n')

    assert taker.taken == []  # type: ignore[attr-defined]
    assert tomllib.loads(env.settings.read_text())["notify"] == [{"name": "chat", "url": url}]
