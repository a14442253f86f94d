"""The texts of the files: only what was asked is edited."""

from __future__ import annotations

import tomllib
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from replicator.api.pvesr_jobs import PvesrJob, PvesrJobs
from replicator.errors import ConfigError
from replicator.models import JobId
from replicator.setup.answers import Answers, read_answers
from replicator.setup.texts import (
    cluster_text,
    hidden,
    is_here,
    other_settings_text,
    prometheus_text,
    secrets_of,
    settings_text,
)

PATH = Path("/etc/zsr/cluster.toml")
PLAIN: dict[str, object] = {
    "node": {"name": "alpha", "address": "10.0.0.11"},
    "storage": {"name": "data", "path": "tank/data"},
    "ssh": {"key": "/root/.ssh/zsr_ed25519"},
    "nodes": [{"name": "beta", "address": "10.0.0.12", "host_key": f"SHA256:{'a' * 43}"}],
    "guests": [{"id": 100, "name": "web", "target": "beta", "volumes": ["data:web"]}],
}
MAIL = {"notify": {"name": "admins", "url": "mailtos://zsr:geheim@mail.example.org?to=a@example.org"}}
METRICS = {"metrics": {"prometheus": "http://10.0.0.20:9090"}}


def answers(**changes: object) -> Answers:
    found, problems = read_answers({**PLAIN, **changes})
    assert found is not None, problems
    return found


def settings(before: str | None, **changes: object) -> str:
    return settings_text(before, answers(**changes), metrics_here=False)


def cluster(before: str | None, pvesr: PvesrJobs | None = None, **changes: object) -> str:
    return cluster_text(before, answers(**changes), PATH, pvesr or PvesrJobs(), ZoneInfo("UTC"))


class TestSettings:
    def test_a_new_file_has_what_was_answered(self) -> None:
        assert tomllib.loads(settings(None, **MAIL, **METRICS)) == {
            "node": "alpha",
            "ssh": {"key": "/root/.ssh/zsr_ed25519"},
            "exporter": {"listen": "10.0.0.11:9847"},
            "doctor": {"prometheus": "http://10.0.0.20:9090"},
            "notify": [MAIL["notify"]],
        }

    def test_the_same_answers_again_change_nothing(self) -> None:
        first = settings(None, **MAIL, **METRICS)

        assert settings(first, **MAIL, **METRICS) == first

    def test_comments_order_and_other_settings_stay(self) -> None:
        before = (
            '# mine\nmax_parallel = 2   # two disks\n[ssh]   # keys\nkey = "/root/.ssh/zsr_ed25519"\n'
            'agent = false\n\n[[notify]]   # the phone\nname = "phone"\nurl = "ntfys://x"\n'
        )

        after = settings(before, **MAIL)

        assert after.replace('node = "alpha"\n', "").replace("\n\n", "\n").startswith(before.replace("\n\n", "\n"))
        assert [each["name"] for each in tomllib.loads(after)["notify"]] == ["phone", "admins"]

    def test_a_target_of_that_name_gets_the_new_url_and_keeps_the_rest(self) -> None:
        before = '[[notify]]\nname = "admins"\nurl_file = "/etc/zsr/url"\nquiet = ["22..6"]\n'

        (target,) = tomllib.loads(settings(before, **MAIL))["notify"]

        assert target == {**MAIL["notify"], "quiet": ["22..6"]}

    def test_a_key_among_several_stays(self) -> None:
        before = 'node = "alpha"\n[ssh]\nkey = ["/root/.ssh/id_rsa", "/root/.ssh/zsr_ed25519"]\n'

        assert settings(before) == before

    def test_the_exporter_stays_where_a_person_let_it_listen(self) -> None:
        before = 'node = "alpha"\n[ssh]\nkey = "/root/.ssh/zsr_ed25519"\n[exporter]\nlisten = "0.0.0.0:9999"\n'

        assert tomllib.loads(settings(before, **METRICS))["exporter"] == {"listen": "0.0.0.0:9999"}

    def test_a_prometheus_on_this_machine_needs_no_open_port(self) -> None:
        assert "exporter" not in tomllib.loads(settings_text(None, answers(**METRICS), metrics_here=True))

    def test_an_address_of_version_6_stands_in_brackets(self) -> None:
        node = {"name": "alpha", "address": "2001:db8::1"}

        assert tomllib.loads(settings(None, node=node, **METRICS))["exporter"] == {"listen": "[2001:db8::1]:9847"}

    def test_another_node_gets_its_name_its_key_and_its_own_address(self) -> None:
        found = answers(**METRICS)

        assert tomllib.loads(other_settings_text(found, found.nodes[0], "/root/.ssh/k", metrics_here=False)) == {
            "node": "beta",
            "ssh": {"key": "/root/.ssh/k"},
            "exporter": {"listen": "10.0.0.12:9847"},
            "doctor": {"prometheus": "http://10.0.0.20:9090"},
        }


class TestCluster:
    def test_a_new_file_has_nodes_storage_guests_and_jobs(self) -> None:
        found = tomllib.loads(cluster(None))

        assert found["nodes"] == {"alpha": {"address": "10.0.0.11"}, "beta": {"address": "10.0.0.12"}}
        assert found["storages"] == {"data": {"path": "tank/data"}}
        assert found["guests"] == {"100": {"name": "web", "node": "alpha", "volumes": ["data:web"]}}
        assert found["jobs"]["100-0"]["target"] == "beta"
        assert found["jobs"]["100-0"]["keep"] == "6h:15m,7d:1d"

    def test_the_same_answers_again_change_nothing(self) -> None:
        first = cluster(None)

        assert cluster(first) == first

    def test_another_path_on_the_other_node_is_its_own(self) -> None:
        beta = {"name": "beta", "address": "10.0.0.12", "host_key": f"SHA256:{'a' * 43}", "path": "backup/data"}
        text = cluster(None, nodes=[beta])

        assert tomllib.loads(text)["storages"]["data"]["paths"] == {"beta": "backup/data"}
        assert "paths" in text
        assert "beta" not in tomllib.loads(cluster(text))["storages"]["data"].get("paths", {})

    def test_what_a_person_wrote_stays(self) -> None:
        before = cluster(None) + '\n[guests.200]   # not by setup\nnode = "beta"\n'
        before = before.replace('address = "10.0.0.12"', 'address = "10.0.0.12"   # in the cellar\nrate = 10')

        after = cluster(before, guests=[{"id": 101, "target": "beta"}])

        assert "[guests.200]   # not by setup" in after
        assert 'address = "10.0.0.12"   # in the cellar\nrate = 10' in after
        assert list(tomllib.loads(after)["jobs"]) == ["100-0", "101-0"]

    def test_a_job_to_that_node_gets_the_new_schedule(self) -> None:
        after = cluster(cluster(None), guests=[{"id": 100, "target": "beta", "schedule": "22:00"}])

        assert tomllib.loads(after)["jobs"] == {
            "100-0": {**tomllib.loads(cluster(None))["jobs"]["100-0"], "schedule": "22:00"}
        }

    def test_a_restricted_storage_is_allowed_on_the_nodes_that_were_named(self) -> None:
        before = '[nodes.gamma]\naddress = "10.0.0.13"\n[storages.data]\npath = "tank/data"\nnodes = ["gamma"]\n'

        assert tomllib.loads(cluster(before))["storages"]["data"]["nodes"] == ["gamma", "alpha", "beta"]

    def test_a_number_of_a_job_of_proxmox_is_not_taken(self) -> None:
        pvesr = PvesrJobs((PvesrJob(JobId(100, 0), "beta"),))

        assert list(tomllib.loads(cluster(None, pvesr))["jobs"]) == ["100-1"]

    def test_a_guest_of_another_node_is_refused(self) -> None:
        before = '[nodes.beta]\naddress = "10.0.0.12"\n[guests.100]\nnode = "beta"\n'

        with pytest.raises(ConfigError, match="Guest 100 belongs to node beta, not to alpha"):
            cluster(before)

    def test_a_node_that_only_receives_is_marked(self) -> None:
        beta = {"name": "beta", "address": "10.0.0.12", "host_key": f"SHA256:{'a' * 43}", "zsr": False}

        assert tomllib.loads(cluster(None, nodes=[beta]))["nodes"]["beta"]["zsr"] is False


def test_secrets_are_not_shown() -> None:
    text = settings(None, **MAIL)

    shown = hidden(text, secrets_of(tomllib.loads(text)))

    assert "geheim" not in shown
    assert 'name = "admins"\nurl = "..."' in shown
    assert "zsr_ed25519" in shown


def test_prometheus_gets_each_node_that_runs_zsr() -> None:
    assert "http://10.0.0.11:9847/http_sd\n      - url: http://10.0.0.12:9847/http_sd" in prometheus_text(
        answers(), here=False
    )
    assert "127.0.0.1:9847" in prometheus_text(answers(), here=True)


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://localhost:9090", True),
        ("http://127.0.0.1:9090/prom", True),
        ("http://10.0.0.11", True),
        ("https://user:pw@alpha:9090", True),
        ("http://[::1]:9090", True),
        ("http://10.0.0.20:9090", False),
        ("http://mon.example.org", False),
    ],
)
def test_where_a_prometheus_is(url: str, here: bool) -> None:
    assert is_here(url, ["10.0.0.11"], "alpha") is here
