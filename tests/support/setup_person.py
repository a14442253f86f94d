"""A person who answers the questions of ``zsr setup``."""

from __future__ import annotations

from tests.support.setup_env import SetupEnv
from tests.support.terminal import Terminal


def answer_about_this_node(person: Terminal, env: SetupEnv, key: str = "") -> None:
    """Answer all but what is about other nodes, messages and metrics."""
    person.answer("Its name", "alpha")
    person.answer("Its address")
    person.answer("Its SSH port", str(env.port))
    for question in ("Its path", "Its name in zsr", "Replicate", "How often", "Restore points"):
        person.answer(question)
    person.answer("Private key", key)


def answer_the_way(person: Terminal, env: SetupEnv) -> None:
    """Name beta, and say where it is."""
    person.answer("Its name", "beta")
    person.answer("Its address", "127.0.0.1")
    person.answer("Its SSH port", str(env.port))
    person.answer("Log in there as")


def answer_the_rest(person: Terminal, *, files: str = "n", way_back: str = "n") -> None:
    """Answer what comes after the login."""
    person.answer("Path of the storage there")
    person.answer("Does zsr run there too", "y")
    person.answer("Write its zsr.toml", files)
    person.answer("May it log in here", way_back)
    person.answer("Its name")
    person.answer("URL")
    person.answer("Its URL")


def let_in(env: SetupEnv, person: Terminal) -> None:
    """Add the line that is shown on beta, as a person there would."""
    person.expect("Next")
    (line,) = {each.strip() for each in person.seen.splitlines() if each.strip().startswith("ssh-ed25519 ")}
    with env.hosts.server.authorized_keys.open("a") as file:
        file.write(f"{line}\n")
    person.type("\n")
