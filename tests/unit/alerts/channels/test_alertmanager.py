"""Which active alerts of an Alertmanager are over, without one; tests/monitoring has the real one."""

from __future__ import annotations

import json
from datetime import UTC

import pytest

from alerts.channels import alertmanager
from alerts.channels.alertmanager import ActiveAlerts, AlertmanagerChannel, AlertmanagerSettings
from alerts.channels.base import SendStatus, Sent
from alerts.render.renderer import MessageWriter, Renderer
from alerts.secrets import Secret
from tests.support import statuses

KEY = "alertmanager/am"


def active(job: str) -> statuses.FakeMemory:
    """A store with one active alert of a job."""
    alert = {"labels": {"alertname": "ZsrJobFailing", "zsr_job": job}, "annotations": {}, "begins": 1.0}
    return statuses.FakeMemory({KEY: json.dumps([{**alert, "thread": "t", "job": job}])})


@pytest.fixture(autouse=True)
def accepting(monkeypatch: pytest.MonkeyPatch) -> None:
    """An Alertmanager that accepts everything."""

    async def accept(*_: object) -> Sent:
        return Sent(SendStatus.DELIVERED, "", 0.0)

    monkeypatch.setattr(alertmanager, "exchange", accept)


@pytest.mark.parametrize("job", ["100-0", "pvesr:100-0", "zfs:tank/data"])
async def test_an_alert_ends_when_its_job_is_gone_whatever_form_its_id_has(job: str) -> None:
    memory = active(job)
    writer = MessageWriter(Renderer(), lambda: statuses.NOW, UTC)
    channel = AlertmanagerChannel(AlertmanagerSettings(Secret("http://am:9093")), writer, ActiveAlerts(memory, KEY))
    await channel.renew_once(statuses.status(statuses.healthy(job)))
    assert KEY in memory.notes
    await channel.renew_once(statuses.status())
    assert KEY not in memory.notes
