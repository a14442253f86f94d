"""States that a command or an edited file brings about."""

from __future__ import annotations

from tests.monitoring.states import (
    m11_new_node_not_scraped,
    m18_job_disabled,
    m19_jobs_gone_from_file,
    m20_file_cut_off,
    m21_cluster_file_wrong,
    m22_settings_wait_for_restart,
    m23_guest_owned_by_none,
    m24_guest_owned_twice,
    m26_guest_entry_gone,
    m28_guest_without_job,
    m34_storage_restricted,
    m63_no_run_comes,
    s04_pvesr_job_left,
)
from tests.support.real_site import JOB, RealSite
from tests.support.real_states import HOUR, Making, RealState, late, well_again

GUEST = '[guests.100]\nname = "web"\nnode = "alpha"\n'
STORAGE = "[storages.local-zfs]\n"


def _disabled_for(site: RealSite, hours: float, *arguments: str) -> None:
    site.alpha.set_clock(-hours * HOUR)
    site.alpha.zsr("disable", *arguments)
    site.until(lambda: site.value("zsr_job_disabled_since_timestamp_seconds") is not None, "the job is disabled")
    site.alpha.set_clock(0)


def disabled_for_a_day(site: RealSite) -> Making:
    _disabled_for(site, 25, "100-0")
    yield
    site.alpha.zsr("enable", "100-0")


def job_deleted_by_hand(site: RealSite) -> Making:
    site.edit(JOB, "")
    yield
    site.write_cluster()


def file_cut_off(site: RealSite) -> Making:
    text = site.alpha.cluster.read_text()
    site.write_cluster(text[: text.index(JOB)])
    yield
    site.write_cluster()


def wrong_key(site: RealSite) -> Making:
    site.edit(JOB, f'{JOB}shedule = "*/5"\n')
    yield
    site.write_cluster()


def settings_changed(site: RealSite) -> Making:
    before = site.alpha.settings.read_text()
    mail = '[[notify]]\nname = "mail"\nurl = "json://127.0.0.1:1"\n'
    site.alpha.settings.write_text(before.replace("[cluster]", "max_parallel = 2\n[cluster]") + mail)
    yield
    site.alpha.settings.write_text(before)


def _turn_round(site: RealSite, node: str) -> None:
    """Let one node's file say that the guest has moved to beta, and its job with it."""
    text = site.nodes[node].cluster.read_text()
    turned = text.replace(GUEST, GUEST.replace("alpha", "beta")).replace(JOB, JOB.replace("beta", "alpha"))
    site.write_cluster(turned, nodes=[node])


def owned_by_none(site: RealSite) -> Making:
    _turn_round(site, "alpha")
    yield
    site.write_cluster()


def owned_twice(site: RealSite) -> Making:
    _turn_round(site, "beta")
    yield
    site.write_cluster()


def guest_entry_gone(site: RealSite) -> Making:
    with late(site):
        site.edit(GUEST, "")
    site.failed()
    yield
    site.write_cluster()
    well_again(site)


def guest_without_job(site: RealSite) -> Making:
    site.edit(GUEST, f'{GUEST}[guests.105]\nname = "new"\nnode = "alpha"\n')
    yield
    site.write_cluster()


def storage_restricted(site: RealSite) -> Making:
    with late(site):
        site.edit(STORAGE, f'{STORAGE}nodes = ["alpha"]\n')
    site.failed()
    yield
    site.write_cluster()
    well_again(site)


def new_node(site: RealSite) -> Making:
    site.edit(STORAGE, f'[nodes.gamma]\naddress = "127.0.0.1"\nport = 9\n{STORAGE}', nodes=["alpha"])
    yield
    site.write_cluster()


def one_date_and_a_promise(site: RealSite) -> Making:
    site.edit(JOB, f'{JOB}schedule = "2026-01-01 02:00"\nrpo = "30m"\n')
    yield
    site.write_cluster()


def pvesr_job(site: RealSite) -> Making:
    folder = site.alpha.folder / "pve"
    folder.mkdir()
    (folder / "replication.cfg").write_text("local: 100-0\n\ttarget beta\n")
    site.alpha.restart()
    yield
    (folder / "replication.cfg").unlink()
    folder.rmdir()
    site.alpha.restart()


FILES = (
    RealState(m11_new_node_not_scraped.STATE, new_node),
    RealState(m18_job_disabled.STATE, disabled_for_a_day),
    RealState(m19_jobs_gone_from_file.STATE, job_deleted_by_hand),
    RealState(m20_file_cut_off.STATE, file_cut_off),
    RealState(m21_cluster_file_wrong.STATE, wrong_key),
    RealState(m22_settings_wait_for_restart.STATE, settings_changed),
    RealState(m23_guest_owned_by_none.STATE, owned_by_none),
    RealState(m24_guest_owned_twice.STATE, owned_twice, spoils=True),
    RealState(m26_guest_entry_gone.STATE, guest_entry_gone),
    RealState(m28_guest_without_job.STATE, guest_without_job),
    RealState(m34_storage_restricted.STATE, storage_restricted),
    RealState(m63_no_run_comes.STATE, one_date_and_a_promise),
    RealState(s04_pvesr_job_left.STATE, pvesr_job),
)
