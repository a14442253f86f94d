"""What logging in to another node shows: connection, host key, login, shell, the way back, its machine and its zsr."""

from __future__ import annotations

import pytest

from replicator.api.doctor import Level, Line
from replicator.doctor import catalogue, contact
from replicator.errors import AuthError, ConfigError, DeadlineError, HostKeyError, NetworkError, ZsrError
from replicator.models import Node

ALPHA = Node("alpha", "10.0.0.11")
BETA = Node("beta", "10.0.0.12", 2222, user="zsr")
UNKNOWN_KEY = "No ED25519 host key is known for 10.0.0.11 and you have requested strict checking.\n"


def levels(lines: list[Line]) -> dict[str, Level]:
    return {line.check: line.level for line in lines}


class TestContact:
    def test_a_login_that_works_is_three_times_well(self) -> None:
        assert levels(contact.contact(BETA, None)) == dict.fromkeys(catalogue.CONTACT, Level.OK)

    @pytest.mark.parametrize(
        ("error", "failing"),
        [
            (NetworkError("Could not connect to node beta: no route to host."), catalogue.CONNECTION),
            (DeadlineError("Node beta did not let a command run within 20 s."), catalogue.CONNECTION),
            (HostKeyError("known_hosts has no key of node beta."), catalogue.HOST_KEY),
            (AuthError("Node beta refused user zsr."), catalogue.LOGIN),
            (ConfigError("The SSH key for node beta cannot be used."), catalogue.LOGIN),
        ],
    )
    def test_an_error_is_the_failure_of_one_line_and_says_what_to_do(self, error: ZsrError, failing: str) -> None:
        lines = contact.contact(BETA, error)

        assert [line.check for line in lines if line.level is Level.FAIL] == [failing]
        assert all(line.text == error.what and line.advice for line in lines if line.level is Level.FAIL)

    def test_what_comes_before_the_failure_is_known_and_what_comes_after_is_not(self) -> None:
        found = levels(contact.contact(BETA, HostKeyError("known_hosts has no key of node beta.")))

        assert found == {"connection": Level.OK, "host-key": Level.FAIL, "login": Level.UNKNOWN}

    def test_a_refused_key_is_installed_with_the_right_port_and_user(self) -> None:
        *_, login = contact.contact(BETA, AuthError("Node beta refused user zsr."))

        assert login.advice.endswith("ssh-copy-id -p 2222 zsr@10.0.0.12")


class TestShell:
    def test_a_silent_one_is_well(self) -> None:
        assert contact.shell("beta", None).level is Level.OK

    def test_one_that_prints_text_is_a_warning_with_the_text(self) -> None:
        line = contact.shell("beta", "hello from bashrc")

        assert line.level is Level.WARN
        assert "hello from bashrc" in line.text


class TestWayBack:
    def test_a_login_from_there_is_well(self) -> None:
        assert contact.way_back(BETA, ALPHA, replicates_here=True, status=0, stderr="").level is Level.OK

    def test_one_that_fails_is_a_failure_where_jobs_need_it(self) -> None:
        line = contact.way_back(BETA, ALPHA, replicates_here=True, status=255, stderr=UNKNOWN_KEY)

        assert line.level is Level.FAIL
        assert "host key" in line.text
        assert line.advice == "Try it there, by hand: ssh root@10.0.0.11"

    def test_and_a_warning_where_only_a_later_move_does(self) -> None:
        line = contact.way_back(
            BETA, ALPHA, replicates_here=False, status=255, stderr="root@10.0.0.11: Permission denied (publickey)."
        )

        assert line.level is Level.WARN
        assert line.advice == "On beta: ssh-copy-id root@10.0.0.11"

    def test_a_node_without_an_ssh_client_has_to_get_one(self) -> None:
        line = contact.way_back(BETA, ALPHA, replicates_here=True, status=127, stderr="ssh: not found")

        assert "apt install openssh-client" in line.advice

    def test_a_node_that_only_receives_logs_in_nowhere(self) -> None:
        line = contact.no_way_back(Node("beta", "10.0.0.12", zsr=False), ALPHA)

        assert line is not None
        assert line.level is Level.OFF

    def test_an_address_that_is_local_leads_other_nodes_nowhere(self) -> None:
        line = contact.no_way_back(BETA, Node("alpha", "local"))

        assert line is not None
        assert line.level is Level.WARN


class TestMachine:
    def test_two_boot_ids_are_two_machines(self) -> None:
        assert contact.machine("beta", "alpha", "b", "a").level is Level.OK

    def test_the_same_boot_id_is_a_failure(self) -> None:
        assert contact.machine("beta", "alpha", "a", "a").level is Level.FAIL

    def test_a_missing_one_is_unknown(self) -> None:
        assert contact.machine("beta", "alpha", None, "a").level is Level.UNKNOWN


class TestZsr:
    @pytest.mark.parametrize(
        ("printed", "level"),
        [
            ("zsr, version 0.2.1\n", Level.OK),
            ("zsr, version 0.1.0\n", Level.WARN),
            ("zsr, version 0.2.0\n", Level.WARN),
            ("zsr, version 0.4.0\n", Level.FAIL),
            ("zsr, version 1.2.1\n", Level.FAIL),
            ("words of another program", Level.WARN),
            (None, Level.WARN),
        ],
    )
    def test_one_minor_version_apart_works_and_more_does_not(self, printed: str | None, level: Level) -> None:
        assert contact.zsr(BETA, printed, "0.2.1").level is level

    def test_a_node_that_only_receives_needs_none(self) -> None:
        assert contact.zsr(Node("beta", "10.0.0.12", zsr=False), None, "0.2.1").level is Level.OFF
