"""Proxmox VE still has its replication job for a guest that zsr has taken over."""

from dataclasses import replace

from alerts.notice import Severity
from replicator.api.pvesr_jobs import PvesrJob, PvesrJobs
from replicator.daemon.health_check import HealthLevel
from replicator.models import JobId
from tests.support.states import BEGIN, Alert, Fleet, Line, State, source, target

NONE, LEFT = PvesrJobs(), PvesrJobs((PvesrJob(JobId(100, 0), "beta"),))


def _fleet(minute: int, known: PvesrJobs) -> Fleet:
    return {"alpha": replace(source(minute), pvesr=known), "beta": target(minute)}


STATE = State(
    key="states 4",
    title="Proxmox VE still has its own replication job for a guest of zsr, and a click there destroys the replica",
    produced="zsr adopt 100-0 without removing pvesr's job 100-0",
    fleet=lambda since: _fleet(BEGIN + since, LEFT),
    calm=lambda minute: _fleet(minute, NONE),
    alerts=(Alert("ZsrForeignReplication", Severity.WARNING, 62, {"zsr_job": "100-0"}),),
    why_silent="nothing has happened yet; a destroyed replica is reported as lost.",
    check=Line(HealthLevel.WARNING, "Proxmox VE still has its replication job 100-0 to beta"),
)
