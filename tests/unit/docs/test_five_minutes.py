"""docs/five-minutes.md shows the session that ``zsr setup`` has, and each answer."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import BaseModel

from replicator.setup.answers import (
    GuestAnswer,
    MetricsAnswer,
    NotifyAnswer,
    OtherNode,
    SshAnswer,
    StorageAnswer,
    ThisNode,
    read_answers,
)
from tests.support.setup_env import SetupEnv, setup_env
from tests.support.setup_person import answer_about_this_node, answer_the_rest, answer_the_way, let_in

PAGE = Path(__file__).parents[3] / "docs" / "five-minutes.md"
SECTIONS = [
    "This node",
    "Storage: the",
    "Guests: what",
    "SSH\n",
    "The other node",
    "Another node",
    "Messages: where",
    "URL",
]


@pytest.fixture
def both(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[SetupEnv]:
    """As `env`, and each host has settings of its own."""
    with setup_env(tmp_path, capsys, monkeypatch, apart=True) as running:
        yield running


def test_the_session_of_the_page_is_one(both: SetupEnv) -> None:
    with both.at_terminal() as person:
        answer_about_this_node(person, both)
        answer_the_way(person, both)
        person.answer("Are they the same?", "y")
        let_in(both, person)
        answer_the_rest(person, files="y", way_back="y")
        person.expect("[none]: ")
        printed = person.seen
        person.interrupt()

    page = PAGE.read_text().partition("<!-- session -->")[2].partition("```console\n# zsr setup\n")[2]
    for begin, end in pairwise(SECTIONS):
        assert part(like_the_page(printed, both), begin, end) == part(page, begin, end)


def test_the_answers_of_the_page_are_right() -> None:
    (text,) = re.findall(r"<!-- answers -->\n```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)

    assert read_answers(tomllib.loads(text))[1] == []


def test_each_answer_has_its_row() -> None:
    table = PAGE.read_text().partition("| key | default | meaning |")[2]
    rows = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    named = set()
    for row in rows:
        first = re.findall(r"`([^`]+)`", row)
        section = first[0].rpartition(".")[0] if first else ""
        named |= {each if not each.startswith(".") else f"{section}{each}" for each in first}

    parts: dict[str, type[BaseModel]] = {
        "node": ThisNode,
        "storage": StorageAnswer,
        "ssh": SshAnswer,
        "nodes.N": OtherNode,
    }
    parts |= {"guests.N": GuestAnswer, "notify": NotifyAnswer, "metrics": MetricsAnswer}
    assert named == {f"{name}.{key}" for name, model in parts.items() for key in model.model_fields}


def like_the_page(printed: str, env: SetupEnv) -> str:
    """What was printed, as it would be on hosts with the page's addresses and keys."""
    page = PAGE.read_text()
    text = re.sub(r"\x1b\[\d+m", "", printed)
    text = re.sub(r"SHA256:\S{43}", re.findall(r"SHA256:\S{43}", page)[0], text)
    text = re.sub(r"ssh-ed25519 AAAA\S+", re.findall(r"ssh-ed25519 AAAA\S+", page)[0], text)
    text = text.replace(f"{env.folder}/.ssh", "/root/.ssh").replace(
        f"[{os.uname().nodename.partition('.')[0]}]: alpha", "[alpha]:"
    )
    text = re.sub(r"(?m)^(Its SSH port \[22\]:) \d+", r"\1", text).replace(f"port {env.port}", "port 22")
    here, there = text.split("The other node", 1)
    return f"{here.replace('127.0.0.1', '10.0.0.11')}The other node{there.replace('127.0.0.1', '10.0.0.12')}"


def part(text: str, begin: str, end: str) -> list[str]:
    """The words between two headings, without what this machine being both hosts adds."""
    found = text.partition(f"{begin}")[2].partition(f"{end}")[0]
    return re.sub(r"  FAIL  The address of beta leads.*?cluster file\.\n", "", found, flags=re.DOTALL).split()
