"""Who may ask: names and passwords against bcrypt hashes, and the names in a client's certificate."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace

import bcrypt
import pytest

from exporter import auth
from exporter.auth import Guard, basic_credentials, is_password, nobodys_hash
from exporter.web_config import Tls, WebConfig

ALICE = bcrypt.hashpw(b"wonderland", bcrypt.gensalt(4)).decode()
BOB = bcrypt.hashpw("grün:1".encode(), bcrypt.gensalt(5)).decode()


def basic(name: str, password: str) -> str:
    """The header of a name and a password."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.fixture
def door() -> Iterator[Guard]:
    made = Guard(WebConfig(users=(("alice", ALICE), ("bob", BOB))))
    yield made
    made.close()


@pytest.mark.parametrize(("name", "password"), [("alice", "wonderland"), ("bob", "grün:1")])
async def test_the_right_password_is_let_in(door: Guard, name: str, password: str) -> None:
    assert await door.admits(basic(name, password))


async def test_so_many_right_passwords_are_remembered_and_not_hashed_again(
    door: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[bytes] = []

    def counted(password: bytes, wanted: str) -> bool:
        hashed.append(password)
        return is_password(password, wanted)

    monkeypatch.setattr("exporter.auth.is_password", counted)
    monkeypatch.setattr("exporter.auth.REMEMBERED", 2)
    for name, password in (("alice", "wonderland"), ("bob", "grün:1"), ("alice", "wonderland")):
        assert await door.admits(basic(name, password))
    assert hashed == [b"wonderland", "grün:1".encode()]


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic !",
        "Basic " + base64.b64encode(b"alice").decode(),
        "Basic " + base64.b64encode(b"\xff:wonderland").decode(),
        "Bearer wonderland",
        basic("alice", "Wonderland"),
        basic("alice", ""),
        basic("bob", "wonderland"),
        basic("nobody", "wonderland"),
        basic("", ""),
    ],
)
async def test_everything_else_is_not(door: Guard, header: str | None) -> None:
    assert not await door.admits(header)


async def test_without_users_everybody_is_let_in() -> None:
    made = Guard(WebConfig())
    assert await made.admits(None)
    made.close()


async def test_a_right_password_is_computed_once_and_a_wrong_one_each_time(
    door: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[bytes] = []

    def count(password: bytes, wanted: str) -> bool:
        computed.append(password)
        return is_password(password, wanted)

    monkeypatch.setattr(auth, "is_password", count)
    for _ in range(3):
        assert await door.admits(basic("alice", "wonderland"))
        assert not await door.admits(basic("alice", "x"))
    assert computed == [b"wonderland", b"x", b"x", b"x"]


async def test_a_name_that_is_not_known_is_computed_too(door: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[str] = []

    def count(password: bytes, wanted: str) -> bool:
        computed.append(wanted)
        return True

    monkeypatch.setattr(auth, "is_password", count)
    assert not await door.admits(basic("nobody", "x"))
    assert [wanted[:7] for wanted in computed] == ["$2b$05$"], "as slow as the slowest of those that are known"


async def test_a_password_that_was_taken_away_is_forgotten(door: Guard) -> None:
    assert await door.admits(basic("alice", "wonderland"))
    door.config = replace(door.config, users=(("alice", BOB),))
    assert not await door.admits(basic("alice", "wonderland"))


def test_a_long_password_is_cut_as_htpasswd_cuts_it() -> None:
    wanted = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
    assert is_password(b"x" * 100, wanted)


def test_nobodys_hash_is_one_that_bcrypt_can_compute() -> None:
    assert not is_password(b"x", nobodys_hash({"alice": ALICE}))


def test_the_scheme_is_read_whatever_its_letters() -> None:
    assert basic_credentials("bAsIc " + base64.b64encode(b"a:b:c").decode()) == ("a", b"b:c")


def test_a_certificate_needs_one_of_the_names() -> None:
    made = Guard(WebConfig(tls=Tls(client_allowed_sans=["prometheus.example.org", "10.0.0.7"])))
    assert made.knows({"subjectAltName": (("DNS", "x"), ("IP Address", "10.0.0.7"))})
    assert not made.knows({"subjectAltName": (("DNS", "x"),)})
    assert not made.knows({})
    assert not made.knows(None)
    made.close()
