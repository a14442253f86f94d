"""The demo's inbox takes zsr's own messages and Alertmanager's, and nothing else."""

from __future__ import annotations

from aiohttp import ClientSession

from demo.webhook import inbox

ALERT = {"labels": {"alertname": "ZsrRpoBreached"}, "annotations": {"description": "Job 100-0 ..."}}


async def post(port: int, body: object) -> int:
    async with ClientSession() as session, session.post(f"http://127.0.0.1:{port}/alertmanager", json=body) as response:
        return response.status


async def test_a_message_of_zsr_is_kept_as_it_is() -> None:
    async with inbox() as box:
        assert await post(box.port, {"title": "a", "message": "b"}) == 200
        assert [(message.title, message.body) for message in box.messages] == [("a", "b")]


async def test_a_post_of_alertmanager_names_its_alerts_and_says_each_ones_status() -> None:
    alerts = [
        {**ALERT, "status": "firing"},
        {"labels": {"alertname": "Other"}, "annotations": {}, "status": "resolved"},
    ]
    async with inbox() as box:
        assert await post(box.port, {"status": "firing", "alerts": alerts}) == 200
        (message,) = box.messages

    assert message.title == "Alertmanager, firing: Other, ZsrRpoBreached"
    assert message.body == "firing: Job 100-0 ...\nresolved: "


async def test_anything_else_is_refused() -> None:
    strange: list[object] = [{}, {"alerts": [{}]}, [], "text"]
    async with inbox() as box:
        assert [await post(box.port, body) for body in strange] == [400, 400, 400, 400]
        assert box.messages == []
