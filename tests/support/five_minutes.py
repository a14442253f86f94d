"""docs/five-minutes.md as a person uses it: the commands to paste, and the questions with their answers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.support.two_debians import Host, TwoDebians
from tests.support.typist import Typist

GUESTS = ("web", "subvol-101-disk-0")
"""Their datasets, below ``tank/data``."""

PAGE = Path(__file__).parents[2] / "docs" / "five-minutes.md"

_QUESTION = re.compile(r"(?P<question>\S.*\]:|Its name:)(?: (?P<answer>.*))?")
_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Answer:
    """A question that setup asks on the page, word by word, and what is typed."""

    question: str
    answer: str


def part(heading: str) -> str:
    """Return what is below a heading of the second level, up to the next one."""
    return re.split(r"^## ", PAGE.read_text().partition(f"\n## {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def commands(heading: str) -> list[str]:
    """Return the commands to paste below a heading, in order, without their prompts."""
    lines = [line for block in _BLOCK.findall(part(heading)) for line in block.splitlines()]
    return [line.removeprefix("# ") for line in lines if line.startswith("# ")]


def session() -> list[Answer]:
    """Return the questions of the session that the page shows, with the answers."""
    shown = part("2. Set up").partition("# zsr setup\n")[2].partition("```")[0]
    found = (_QUESTION.fullmatch(line) for line in shown.splitlines())
    return [Answer(each["question"], each["answer"] or "") for each in found if each is not None]


def guests(alpha: Host) -> None:
    """Give alpha the two guests that the page shows, of some megabytes."""
    for name in GUESTS:
        alpha.run(f"zfs create -p tank/data/{name} && head -c 4000000 /dev/urandom >/tank/data/{name}/file")


def follow(hosts: TwoDebians, package: Path, typist: Typist) -> str:
    """Do what the page says, up to the service that runs and has replicated; return what the session printed."""
    name = package.name
    for host in (hosts.alpha, hosts.beta):
        host.put(package, name)
    install, create = commands("1. Install")
    typist.run_on_all((hosts.alpha, hosts.beta), install.replace("zsr_VERSION_amd64.deb", name))
    typist.run(hosts.beta, create)
    printed = _set_up(hosts, typist)
    enable, there, _ = commands("3. Start")
    typist.run(hosts.alpha, enable)
    typist.run(hosts.alpha, there)
    typist.wait(hosts.alpha, "test \"$(zsr status | grep -c ' OK *$')\" = 2")
    return printed


def _set_up(hosts: TwoDebians, typist: Typist) -> str:
    (command,) = commands("2. Set up")
    with typist.session(hosts.alpha, command) as person:
        for each in session():
            if each.question == "Next [try again]:":
                person.expect("authorized_keys:\n")
                line = person.expect("zsr@alpha").strip()
                typist.paste(hosts.beta, "echo '", line, "' >>/root/.ssh/authorized_keys")
            typist.answer(person, each.question, each.answer)
        typist.answer(person, "Write all this? [y/N]:", "y")
        status = person.end()
    assert status == 0, person.seen
    return person.seen
