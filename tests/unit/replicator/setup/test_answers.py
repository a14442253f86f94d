"""The answers as TOML: what is missing or wrong is named by its key, with what is allowed."""

from __future__ import annotations

import re
import tomllib

import pytest

from replicator.setup.answers import USUAL_KEEP, Answers, answers_text, read_answers

RIGHT = f"""\
[node]
name = "alpha"
address = "10.0.0.11"
[storage]
name = "data"
path = "tank/data"
[ssh]
key = "/root/.ssh/zsr_ed25519"
[[nodes]]
name = "beta"
address = "10.0.0.12"
host_key = "SHA256:{"a" * 43}"
[[guests]]
id = 100
target = "beta"
[notify]
name = "admins"
url = "json://mon"
[metrics]
prometheus = "http://mon:9090"
"""


def answers(text: str = RIGHT) -> Answers:
    found, problems = read_answers(tomllib.loads(text))
    assert found is not None, problems
    return found


def test_what_may_be_left_out_has_its_default() -> None:
    found = answers()

    (beta,), (web,) = found.nodes, found.guests
    assert (beta.port, beta.user, beta.path, beta.zsr, beta.files, beta.way_back) == (
        22,
        "root",
        None,
        True,
        True,
        True,
    )
    assert (web.schedule, web.keep, web.volumes) == ("*/15", USUAL_KEEP, [])
    assert found.path_on(beta) == "tank/data"


def test_messages_and_metrics_may_be_left_out() -> None:
    found = answers(RIGHT.partition("[notify]")[0])

    assert (found.notify, found.metrics) == (None, None)


def test_no_guests_are_said_so() -> None:
    none = re.sub(r"\[\[guests\]\].*?(?=\[notify\])", "", RIGHT, flags=re.DOTALL)

    assert [problem.key for problem in read_answers(tomllib.loads(none))[1]] == ["guests"]
    assert answers(f"guests = []\n{none}").guests == []


@pytest.mark.parametrize("text", [RIGHT, RIGHT.partition("[notify]")[0], "guests = []\n" + RIGHT.partition("[[g")[0]])
def test_answers_that_are_printed_are_read_as_the_same(text: str) -> None:
    found = answers(text)

    assert answers(answers_text(found)) == found


def test_a_secret_that_is_printed_is_pointed_out() -> None:
    assert "keep this file from others" in answers_text(answers())
    assert "keep this file from others" not in answers_text(answers(RIGHT.partition("[notify]")[0]))


WRONG = {
    "a name is missing": ('name = "alpha"\n', "", "node.name = (missing): this key is required"),
    "a section is missing": (r"\[ssh\]\nkey.*\n", "", "ssh = (missing): this key is required"),
    "a fingerprint is missing": (r"host_key = .*\n", "", "nodes.0.host_key = (missing): this key is required"),
    "no other node": (r"(?s)\[\[nodes\]\].*?(?=\[notify\])", "", "nodes = (missing): this key is required"),
    "a fingerprint that is none": ("SHA256:a*", "yes", "nodes.0.host_key = 'yes': 'SHA256:' and 43 characters"),
    "an unknown key": (r"\[ssh\]", '[ssh]\nkee = "x"', "ssh.kee = ...: unknown key; did you mean 'key'?"),
    "an unknown section": (r"\A", "[nods]\n", "nods = ...: unknown key; did you mean 'nodes'?"),
    "a name that is none": ('"alpha"', '"al pha"', "node.name = 'al pha': letters, digits and hyphens"),
    "a port in the address": ("10.0.0.11", "10.0.0.11:22", "node.address = '10.0.0.11:22': a host name or an IP alone"),
    "a user in the address": ("10.0.0.12", "root@10.0.0.12", "nodes.0.address = 'root@10.0.0.12': a host name or"),
    "this machine as address": ("10.0.0.12", "local", "nodes.0.address = 'local': an address at which it is reached"),
    "a port that is none": ("host_key", "port = 0\nhost_key", "nodes.0.port = 0: "),
    "a port as text": ("host_key", 'port = "22"\nhost_key', "nodes.0.port = '22': "),
    "a user that is none": ("host_key", 'user = "a b"\nhost_key', "nodes.0.user = 'a b': "),
    "a flag that is none": ("host_key", 'files = "no"\nhost_key', "nodes.0.files = 'no': "),
    "a storage that is no path": ("tank/data", "/tank", "storage.path = '/tank': a ZFS path"),
    "a storage with a colon": ('"data"', '"da:ta"', "storage.name = 'da:ta': letters, digits"),
    "a key that is relative": ("/root/.ssh/", "", "ssh.key = 'zsr_ed25519': an absolute path"),
    "a target that is no node": ('target = "beta"', 'target = "x"', "guests.0.target = 'x': one of the other"),
    "a number below 100": ("id = 100", "id = 99", "guests.0.id = 99: "),
    "a guest twice": (r"\[notify\]", '[[guests]]\nid = 100\ntarget = "beta"\n[notify]', "guests.1.id = 100: a number"),
    "a volume of another storage": ("id = 100", 'id = 100\nvolumes = ["x:web"]', "guests.0.volumes = 'x:web': volumes"),
    "a schedule that is none": ("id = 100", 'id = 100\nschedule = "8:61"', "guests.0.schedule = '8:61': a calendar"),
    "restore points that are none": ("id = 100", 'id = 100\nkeep = "x"', "guests.0.keep = 'x': "),
    "two nodes of one name": ('"beta"', '"alpha"', "nodes.0.name = 'alpha': a name that no other node has"),
    "a target's name that is none": ('"admins"', '"A B"', "notify.name = 'A B': a-z, 0-9 and '-'"),
    "a Prometheus that is none": ("http://mon:9090", "mon", "metrics.prometheus = 'mon': a URL, like http://"),
}  # fmt: skip


@pytest.mark.parametrize(("pattern", "to", "named"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_answer_is_named_with_what_is_allowed(pattern: str, to: str, named: str) -> None:
    text, count = re.subn(pattern, to, RIGHT, count=1)
    assert count == 1

    found, problems = read_answers(tomllib.loads(text))

    assert found is None
    assert any(str(problem).startswith(named) for problem in problems), [str(problem) for problem in problems]
