"""The rules of a cluster: each refuses with a sentence, all at once, and a wrong entry is reported once."""

from __future__ import annotations

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from replicator.api.problem import Problem
from replicator.cluster.checks import is_dataset_path, is_volume_name
from replicator.cluster.model import Cluster
from replicator.cluster.toml_schema import read_cluster
from replicator.common.snapshot_patterns import Travelling
from replicator.job_choices import Encryption, FreezeFailure, Removal
from replicator.models import JobId, Storage, Volume

BASE = """
[nodes.alpha]
address = "10.0.0.11"
[nodes.beta]
address = "10.0.0.12"
port = 2222
user = "zsr"
stream = "openssh"
compression = "zstd"
zsr = false
[storages.local-zfs]
path = "rpool/data"
nodes = ["alpha", "beta"]
paths = { beta = "tank/replica" }
[guests.100]
name = "web"
node = "alpha"
storages = ["local-zfs"]
volumes = ["local-zfs:some/dataset"]
freeze = "sync"
thaw = "true"
hook_timeout = "10s"
on_freeze_failure = "error"
[jobs.100-0]
target = "beta"
schedule = "*/5"
rate = 10
comment = "off site"
disabled = true
rpo = "30m"
timezone = "Europe/Vienna"
keep = "6h:15m,7d:1h"
snapshots = "own"
encryption = "decrypted"
removal = "local"
"""


def read(text: str) -> Cluster:
    cluster, problems = read_cluster(tomli.loads(text), "digest")
    assert problems == []
    return cluster


def problems(more: str, *, base: str = BASE) -> list[Problem]:
    return read_cluster(tomli.loads(f"{base}\n{more}"), "digest")[1]


def changed(old: str, new: str) -> list[Problem]:
    assert old in BASE
    return problems("", base=BASE.replace(old, new))


def test_every_key_is_read() -> None:
    cluster = read(BASE)

    beta = cluster.nodes["beta"]
    assert (beta.address, beta.port, beta.user, beta.stream) == ("10.0.0.12", 2222, "zsr", "openssh")
    assert (beta.compression, cluster.nodes["alpha"].compression) == ("zstd", "none")
    assert (beta.zsr, cluster.nodes["alpha"].zsr) == (False, True)
    storage = cluster.storages["local-zfs"]
    assert storage == Storage("local-zfs", "rpool/data", frozenset({"alpha", "beta"}), (("beta", "tank/replica"),))
    guest = cluster.guests[100]
    assert (guest.name, guest.node, guest.storages) == ("web", "alpha", ("local-zfs",))
    assert guest.volumes == (Volume("local-zfs", "some/dataset"),)
    assert (guest.freeze, guest.thaw, guest.hook_timeout) == ("sync", "true", 10)
    assert guest.on_freeze_failure is FreezeFailure.ERROR
    job = cluster.jobs[JobId(100, 0)]
    assert (job.target, job.schedule, job.rate, job.comment) == ("beta", "*/5", 10.0, "off site")
    assert (job.disabled, job.rpo, job.timezone, job.removal) == (True, 1800.0, "Europe/Vienna", Removal.LOCAL)
    assert (job.keep, job.snapshots, job.encryption) == ("6h:15m,7d:1h", Travelling.OWN, Encryption.DECRYPTED)


def test_an_empty_file_is_a_cluster_of_nothing() -> None:
    assert read("").jobs == {}


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('target = "beta"', 'target = "gamma"', "jobs.100-0.target"),
        ('target = "beta"', 'target = "alpha"', "jobs.100-0.target"),
        ('node = "alpha"', 'node = "gamma"', "guests.100.node"),
        ('storages = ["local-zfs"]', 'storages = ["other"]', "guests.100.storages"),
        ("local-zfs:some/dataset", "other:some/dataset", "guests.100.volumes"),
        ("local-zfs:some/dataset", "some/dataset", "guests.100.volumes.0"),
        ("local-zfs:some/dataset", "local-zfs:../dataset", "guests.100.volumes"),
        ("local-zfs:some/dataset", "local-zfs:data@snap", "guests.100.volumes"),
        ('"rpool/data"', '"rpool/da#ta"', "storages.local-zfs.path"),
        ('"rpool/data"', '"/rpool/data"', "storages.local-zfs.path"),
        ('"rpool/data"', '"rpool/zsr-diverged"', "storages.local-zfs.path"),
        ('"tank/replica"', '"tank/zsr-diverged/replica"', "storages.local-zfs.paths.beta"),
        ("local-zfs:some/dataset", "local-zfs:zsr-diverged/vm-100-disk-0-7", "guests.100.volumes"),
        ('"tank/replica"', '"tank/"', "storages.local-zfs.paths.beta"),
        ('nodes = ["alpha", "beta"]', 'nodes = ["alpha", "beta", "gamma"]', "storages.local-zfs.nodes"),
        ('paths = { beta = "tank/replica" }', 'paths = { gamma = "x" }', "storages.local-zfs.paths"),
        ("rate = 10", "rate = 0.5", "jobs.100-0.rate"),
        ("rate = 10", "rate = inf", "jobs.100-0.rate"),
        ("rate = 10", "rate = nan", "jobs.100-0.rate"),
        ("rate = 10", 'rate = "10"', "jobs.100-0.rate"),
        ('rpo = "30m"', "rpo = 0", "jobs.100-0.rpo"),
        ('rpo = "30m"', 'rpo = "soon"', "jobs.100-0.rpo"),
        ('"*/5"', '"*/0"', "jobs.100-0.schedule"),
        ('"off site"', '"two\\nlines"', "jobs.100-0.comment"),
        ('"Europe/Vienna"', '"Mars"', "jobs.100-0.timezone"),
        ('removal = "local"', 'removal = "now"', "jobs.100-0.removal"),
        ("port = 2222", "port = 70000", "nodes.beta.port"),
        ('stream = "openssh"', 'stream = "telnet"', "nodes.beta.stream"),
        ('compression = "zstd"', 'compression = "gzip"', "nodes.beta.compression"),
        ('compression = "zstd"', "compression = true", "nodes.beta.compression"),
        ('"6h:15m,7d:1h"', "0", "jobs.100-0.keep"),
        ('"6h:15m,7d:1h"', "1.5", "jobs.100-0.keep"),
        ('"6h:15m,7d:1h"', "true", "jobs.100-0.keep"),
        ('"6h:15m,7d:1h"', '"7d:1h,6h:15m"', "jobs.100-0.keep"),
        ('"6h:15m,7d:1h"', '["6h:15m"]', "jobs.100-0.keep"),
        ('snapshots = "own"', 'snapshots = "some"', "jobs.100-0.snapshots"),
        ('encryption = "decrypted"', 'encryption = "no"', "jobs.100-0.encryption"),
        ('"local-zfs:some/dataset"', "7", "guests.100.volumes.0"),
        ('"local-zfs:some/dataset"', "{ replicate = false }", "guests.100.volumes.0.volume"),
        ('"local-zfs:some/dataset"', '{ volume = "a" }', "guests.100.volumes.0.volume"),
        ('"local-zfs:some/dataset"', '{ volume = "other:a", replicate = false }', "guests.100.volumes"),
        ('"local-zfs:some/dataset"', '{ volume = "local-zfs:a", replicate = 0 }', "guests.100.volumes.0.replicate"),
        ('"local-zfs:some/dataset"', '{ volume = "local-zfs:a", repliate = 0 }', "guests.100.volumes.0.repliate"),
        ('hook_timeout = "10s"', "hook_timeout = 0", "guests.100.hook_timeout"),
        ("[guests.100]", "[guests.99]", "guests.99"),
        ("[guests.100]", "[guests.0100]", "guests.0100"),
        ("[jobs.100-0]", "[jobs.100]", "jobs.100"),
        ("[jobs.100-0]", "[jobs.100-00]", "jobs.100-00"),
        ("[nodes.beta]", '[nodes."beta_"]', "nodes.beta_"),
        ('comment = "off site"', 'coment = "off site"', "jobs.100-0.coment"),
        ("[jobs.100-0]", "[job.100-0]", "job"),
    ],
)
def test_each_rule_names_the_key(old: str, new: str, key: str) -> None:
    # without removal, which is lenient with a guest that is gone
    base = BASE.replace(old, new)
    assert base != BASE
    if "removal" not in old:
        base = base.replace('removal = "local"\n', "")

    assert key in [problem.key for problem in problems("", base=base)]


def test_the_targets_own_node_is_said_so() -> None:
    [made] = changed('target = "beta"', 'target = "alpha"\nsource = "alpha"')
    [written] = changed('target = "beta"', 'target = "alpha"')

    assert made.allowed == "the target is guest 100's own node; choose another"
    assert written.allowed.startswith(f"{made.allowed}; or, if the guest was moved there, add its former node")


def test_a_second_job_of_a_guest_to_the_same_target_is_refused() -> None:
    [problem] = problems('[jobs.100-1]\ntarget = "beta"')

    assert problem.key == "jobs.100-1.target"
    assert "already has job 100-0 to this target" in problem.allowed


def test_jobs_of_one_guest_to_several_targets_are_well() -> None:
    assert problems('[jobs.100-1]\ntarget = "gamma"\n[nodes.gamma]\naddress = "10.0.0.13"') == []


def test_a_volume_named_twice_is_refused() -> None:
    [problem] = changed('["local-zfs:some/dataset"]', '["local-zfs:a", "local-zfs:a"]')

    assert problem.allowed == "each volume once"


def test_a_volume_named_and_left_out_is_refused() -> None:
    [problem] = changed('["local-zfs:some/dataset"]', '["local-zfs:a", { volume = "local-zfs:a", replicate = false }]')

    assert (problem.value, problem.allowed) == ("'local-zfs:a'", "each volume once")


def test_a_volume_that_is_left_out_does_not_make_the_list_a_list() -> None:
    guest = read(BASE.replace('"local-zfs:some/dataset"', '{ volume = "local-zfs:a", replicate = false }')).guests[100]

    assert (guest.volumes, guest.excluded) == ((), frozenset({Volume("local-zfs", "a")}))


def test_a_list_may_name_volumes_of_both_kinds() -> None:
    listed = '"local-zfs:a", { volume = "local-zfs:b" }, { volume = "local-zfs:c", replicate = false }'
    guest = read(BASE.replace('"local-zfs:some/dataset"', listed)).guests[100]

    assert guest.volumes == (Volume("local-zfs", "a"), Volume("local-zfs", "b"))
    assert guest.excluded == frozenset({Volume("local-zfs", "c")})


def test_a_wrong_entry_of_a_list_says_what_it_may_be() -> None:
    [number] = changed('"local-zfs:some/dataset"', "7")
    [typo] = changed('"local-zfs:some/dataset"', '{ volume = "local-zfs:a", repliate = false }')

    assert 'or a table { volume = "storage:name", replicate = false }' in number.allowed
    assert typo.allowed == "unknown key; did you mean 'replicate'?"


@pytest.mark.parametrize(("written", "meant"), [("5", "5"), ('"5"', "5"), ('"6h:15m, 1w:1h"', "6h:15m,7d:1h")])
def test_restore_points_are_a_number_or_text(written: str, meant: str) -> None:
    assert read(BASE.replace('"6h:15m,7d:1h"', written)).jobs[JobId(100, 0)].keep == meant


def test_a_job_that_is_being_removed_may_have_lost_its_guest() -> None:
    start, end = BASE.index("[guests.100]"), BASE.index("[jobs.100-0]")

    assert problems("", base=BASE[:start] + BASE[end:]) == []


def test_all_problems_are_reported_at_once() -> None:
    reported = {
        problem.key
        for problem in problems(
            '[nodes.gamma]\nadress = "x"\n[guests.101]\nnode = "delta"\n'
            '[jobs.101-0]\ntarget = "beta"\nrate = 0\n[jobs.x]'
        )
    }

    assert {
        "nodes.gamma.adress",
        "nodes.gamma.address",
        "guests.101.node",
        "jobs.101-0.rate",
        "jobs.x.target",
    } <= reported


def test_a_wrong_entry_is_not_reported_again_for_those_that_name_it() -> None:
    assert [p.key for p in changed('address = "10.0.0.12"', "address = 12")] == ["nodes.beta.address"]
    assert [p.key for p in changed('path = "rpool/data"', "path = 12")] == ["storages.local-zfs.path"]
    assert [p.key for p in changed('name = "web"', "name = 12")] == ["guests.100.name"]


def test_a_section_that_is_no_table_is_reported() -> None:
    [problem] = read_cluster({"nodes": 7}, "")[1]

    assert str(problem) == "nodes = 7: tables, each [nodes.SOMETHING]"


class TestASecondPoolOfTheSameMachine:
    LOCAL = BASE.replace('"10.0.0.12"', '"local"')

    def test_is_a_target_when_its_storage_has_a_path_of_its_own_there(self) -> None:
        assert problems("", base=self.LOCAL) == []

    def test_is_refused_when_a_volume_would_be_sent_onto_itself(self) -> None:
        [problem] = problems("", base=self.LOCAL.replace('paths = { beta = "tank/replica" }\n', ""))

        assert problem.key == "jobs.100-0.target"
        assert "give storage local-zfs another path there" in problem.allowed

    def test_is_not_judged_by_storages_that_the_guest_does_not_use(self) -> None:
        assert problems('[storages.scratch]\npath = "rpool/scratch"', base=self.LOCAL) == []


@pytest.mark.parametrize("path", ["rpool", "rpool/data", "tank/a b", "tank/_x", "Tank-1/a:b.c", "t/" + "a" * 253])
def test_zfs_takes_such_a_path(path: str) -> None:
    assert is_dataset_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/rpool",
        "rpool/",
        "a//b",
        "1pool",
        "a/ b",
        "a/b ",
        "a/../b",
        "a/.",
        "a@b",
        "a#b",
        "ä",
        "t/" + "a" * 254,
    ],
)
def test_zfs_takes_no_such_path(path: str) -> None:
    assert not is_dataset_path(path)


@given(st.text(max_size=30))
def test_a_name_that_passes_cannot_leave_its_storage(name: str) -> None:
    if is_volume_name(name):
        assert not name.startswith("/")
        assert "@" not in name
        assert ".." not in name.split("/")
