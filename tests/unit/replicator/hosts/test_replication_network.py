"""The replication network: each side's one address in it is used for all connections, and errors name the addresses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from replicator.errors import ConfigError, NetworkError
from replicator.hosts.local import LocalHost
from replicator.hosts.replication_network import address_inside, parse_network
from replicator.hosts.ssh import SshHost
from replicator.hosts.stream import Limits, stream
from tests.support.openssh_server import OpenSshServer, openssh_server

IPROUTE2 = r"""1: lo    inet 127.0.0.1/8 scope host lo\       valid_lft forever preferred_lft forever
2: eth0    inet 192.168.1.12/24 brd 192.168.1.255 scope global eth0\       valid_lft forever preferred_lft forever
2: eth0    inet6 fe80::5054:ff:fe12:3456/64 scope link \       valid_lft forever preferred_lft forever
3: eth1    inet 10.1.0.12/24 scope global eth1\       valid_lft forever preferred_lft forever
3: eth1    inet6 fd00:1::12/64 scope global \       valid_lft forever preferred_lft forever
4: wg0    inet 10.2.0.12 peer 10.2.0.11/32 scope global wg0\       valid_lft forever preferred_lft forever
"""
FREEBSD = """em0: flags=8843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST> metric 0 mtu 1500
\tether 08:00:27:00:00:01
\tinet 10.1.0.13 netmask 0xffffff00 broadcast 10.1.0.255
\tinet6 fe80::1%em0 prefixlen 64 scopeid 0x1
"""


class TestOneAddressLiesInside:
    @pytest.mark.parametrize(
        ("network", "listing", "address"),
        [
            ("10.1.0.0/24", IPROUTE2, "10.1.0.12"),
            ("fd00:1::/64", IPROUTE2, "fd00:1::12"),
            ("10.2.0.0/16", IPROUTE2, "10.2.0.12"),
            ("10.1.0.0/24", FREEBSD, "10.1.0.13"),
            ("10.1.0.0/24", IPROUTE2 + "5: br0    inet 10.1.0.12/24 scope global br0", "10.1.0.12"),
        ],
    )
    def test_it_is_used(self, network: str, listing: str, address: str) -> None:
        assert address_inside(parse_network(network), "beta", listing) == address

    def test_none_is_an_error_that_names_those_it_has(self) -> None:
        with pytest.raises(ConfigError) as raised:
            address_inside(parse_network("10.9.0.0/24"), "beta", IPROUTE2)
        assert raised.value.what.startswith(
            "Node beta has no address in the replication network 10.9.0.0/24; it has: 10.1.0.12, 10.2.0.12, 192.168"
        )
        assert "127.0.0.1" not in raised.value.what

    def test_several_are_an_error_that_names_them(self) -> None:
        with pytest.raises(ConfigError) as raised:
            address_inside(parse_network("10.0.0.0/8"), "beta", IPROUTE2)
        assert raised.value.what == (
            "Node beta has several addresses in the replication network 10.0.0.0/8: 10.1.0.12, 10.2.0.12."
        )


class TestParse:
    @pytest.mark.parametrize("text", ["10.1.0.12/24", "10.1.0/24", "beta", "", "10.1.0.0/33"])
    def test_what_is_no_network_is_refused_with_an_example(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"e\.g\. '10\.1\.0\.0/24'"):
            parse_network(text)

    def test_bits_of_a_host_are_named(self) -> None:
        with pytest.raises(ValueError, match="host bits"):
            parse_network("10.1.0.12/24")


SECOND = "127.0.0.2"


def lists(folder: Path, address: str) -> None:
    """Let a side list an address: a played `ip`, since loopback has all its addresses without listing them."""
    folder.mkdir(exist_ok=True)
    program = folder / "ip"
    program.write_text(f"#!/bin/sh\necho '2: eth1    inet {address}/24'\n")
    program.chmod(0o755)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenSshServer]:
    """A server at two addresses; both sides list a second address, which loopback has without showing it."""
    (tmp_path / "home" / ".ssh").mkdir(parents=True, mode=0o700)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    lists(tmp_path / "here", "127.0.0.3")
    lists(tmp_path / "there", SECOND)
    (tmp_path / "server").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'here'}:/usr/bin:/bin:/usr/sbin")
    with openssh_server(
        tmp_path / "server", f"SetEnv PATH={tmp_path / 'there'}:/usr/bin:/bin", also_at=SECOND
    ) as running:
        known_as(running, "localhost")
        yield running


def known_as(server: OpenSshServer, name: str) -> None:
    """Let known_hosts have the server's key for one more name, and for none of its addresses in the network."""
    names = Path(server.settings.known_hosts or "")
    first = names.read_text().splitlines()[0]
    names.write_text(f"{first}\n[{name}]:{server.node.port} {first.partition(' ')[2]}\n")


def host_of(server: OpenSshServer, network: str, address: str = "127.0.0.1", stream: str = "auto") -> SshHost:
    """A host that is reached in a replication network."""
    node = replace(server.node, replication_network=network, address=address, stream=stream)
    return SshHost(node, server.settings, here=LocalHost("alpha"))


class TestConnections:
    async def test_a_command_goes_from_and_to_the_addresses_inside(self, server: OpenSshServer) -> None:
        host = host_of(server, "127.0.0.0/30", address="localhost")
        try:
            done = await host.run(["sh", "-c", "echo $SSH_CONNECTION"], limit=10)
        finally:
            await host.close()
        here, _, there, _ = done.stdout.split()
        assert (here, there) == ("127.0.0.3", SECOND)

    async def test_a_large_stream_goes_the_same_way(self, server: OpenSshServer, tmp_path: Path) -> None:
        host = host_of(server, "127.0.0.0/30", address="localhost", stream="openssh")
        try:
            await stream(
                LocalHost("alpha"),
                ["printf", "%s", "text"],
                host,
                ["sh", "-c", f"cat > {tmp_path}/got; echo $SSH_CONNECTION > {tmp_path}/way"],
                limits=Limits(None, 20.0),
                expected_bytes=None,
                on_progress=lambda _: None,
            )
        finally:
            await host.close()
        here, _, there, _ = (tmp_path / "way").read_text().split()
        assert (here, there) == ("127.0.0.3", SECOND)
        assert (tmp_path / "got").read_text() == "text"

    async def test_an_address_inside_is_not_asked_for(self, server: OpenSshServer, tmp_path: Path) -> None:
        (tmp_path / "there" / "ip").unlink()
        host = host_of(server, "127.0.0.0/30")
        try:
            done = await host.run(["sh", "-c", "echo $SSH_CONNECTION"], limit=10)
        finally:
            await host.close()
        here, _, there, _ = done.stdout.split()
        assert (here, there) == ("127.0.0.3", "127.0.0.1")

    async def test_a_node_without_an_address_inside_is_not_reached_elsewhere(self, server: OpenSshServer) -> None:
        with pytest.raises(ConfigError, match=r"Node alpha has no address in the replication network 10\.7\.0\.0/24"):
            await host_of(server, "10.7.0.0/24").probe()

    async def test_what_answers_at_its_address_only_is_an_error_that_names_the_other(
        self, server: OpenSshServer
    ) -> None:
        lists(server.folder.parent / "there", "127.0.0.4")
        with pytest.raises(NetworkError, match=r"127\.0\.0\.4"):
            await host_of(server, "127.0.0.0/29", address="localhost").probe()

    async def test_the_last_address_counts_while_the_node_answers_nowhere_else(self, server: OpenSshServer) -> None:
        host = host_of(server, "127.0.0.0/30", address="localhost")
        try:
            await host.probe()
            await host.close()
            host._node = replace(host._node, address="192.0.2.1")  # routed nowhere
            host._settings = replace(host._settings, connect_timeout=1.0)
            known_as(server, "192.0.2.1")
            await host.probe()
        finally:
            await host.close()
