"""``zsr doctor`` between two real pools: what it finds of them, and that it leaves all as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import Zsr
from tests.support.pools import Pools
from tests.support.verbs_env import NAME, VerbsEnv


@pytest.fixture
def site(pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> VerbsEnv:
    env = VerbsEnv(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))
    with env.zsr.settings_path.open("a") as settings:
        settings.write("[exporter]\nenabled = false\n")
    return env


def found(site: VerbsEnv) -> dict[tuple[str, str], str]:
    """The level of each check; where it has several lines that of the last."""
    lines = site.zsr("doctor", "--format", "json").json["lines"]
    return {(line["node"], line["check"]): line["level"] for line in lines}


def test_pools_storages_room_and_coverage_are_read_from_a_real_zfs(site: VerbsEnv) -> None:
    levels = found(site)

    looked_at = ["pools", "storages", "space", "features", "rights"]
    assert {check: levels["beta", check] for check in looked_at} == dict.fromkeys(looked_at, "ok")
    assert {check: levels["alpha", check] for check in ("pools", "storages", "coverage")} == {
        "pools": "ok",
        "storages": "ok",
        "coverage": "ok",
    }


def test_a_storage_that_is_missing_on_the_target_is_found(site: VerbsEnv) -> None:
    site.zfs("destroy", site.target)

    levels = found(site)

    assert levels["beta", "storages"] == "fail"
    assert levels["alpha", "storages"] == "ok"


def test_a_pool_that_is_not_imported_is_found(site: VerbsEnv) -> None:
    text = site.zsr.cluster_path.read_text()
    site.zsr.cluster_path.write_text(text.replace(site.target, "nopool/data"))

    levels = found(site)

    assert levels["beta", "pools"] == levels["beta", "storages"] == "fail"


def test_first_copies_that_do_not_fit_are_found(site: VerbsEnv) -> None:
    site.zfs("set", "quota=150K", site.target)

    assert found(site)["beta", "space"] == "fail"


def test_a_guest_without_a_job_is_found(site: VerbsEnv) -> None:
    site.zfs("create", f"{site.source}/subvol-101-disk-0")
    with site.zsr.cluster_path.open("a") as cluster:
        cluster.write('[guests.101]\nnode = "alpha"\n')

    assert found(site)["alpha", "coverage"] == "warn"


def test_no_property_and_no_file_is_changed(site: VerbsEnv) -> None:
    site.zsr.well("run", "--id", "100-0")
    site.change_in(NAME)

    def everything() -> tuple[str, str, dict[str, tuple[int, bytes]]]:
        pools = [path.split("/")[0] for path in site.paths]
        files = {
            str(path): (path.stat().st_mtime_ns, path.read_bytes())
            for path in sorted(site.zsr.folder.rglob("*"))
            if path.is_file()
        }
        properties = site.zfs("get", "-H", "-p", "-r", "-o", "name,property,value,source", "all", *pools)
        return site.zfs("list", "-H", "-r", "-t", "all", "-o", "name", *pools), _steady(properties), files

    before = everything()
    found(site)

    assert everything() == before


def _steady(properties: str) -> str:
    """The properties without those of space, which ZFS settles by itself for some seconds after a write."""
    moving = ("used", "available", "referenced", "written", "logical", "compressratio", "refcompressratio")
    lines = (line for line in properties.splitlines() if not line.split("\t")[1].startswith(moving))
    return "\n".join(lines)
