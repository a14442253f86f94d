"""Agreement with ``systemd-analyze calendar`` on random events that both accept, in UTC."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from datetime import UTC, datetime

import pytest

from replicator.schedule.calendar import CalendarEvent

SYSTEMD_ANALYZE = shutil.which("systemd-analyze")
SPECS = 1000
ITERATIONS = 4
BASES = ("2026-11-23 09:41:17", "2024-02-28 23:59:59", "2027-12-31 12:00:00")

pytestmark = pytest.mark.skipif(
    SYSTEMD_ANALYZE is None and os.environ.get("CI") != "true",
    reason="systemd-analyze is missing (apt-get install systemd)",
)


def random_list(dice: random.Random, first: int, last: int, star: float) -> str:
    """A star, or one to three items: a number, a range, a repetition or a range with repetition."""
    if dice.random() < star:
        return "*"
    items = []
    for _ in range(dice.choice([1, 1, 2, 3])):
        low = dice.randint(first, last)
        high = dice.randint(low, last)
        step = dice.randint(1, last)
        items.append(dice.choice([f"{low}", f"{low:02}", f"{low}..{high}", f"{low}/{step}", f"{low}..{high}/{step}"]))
    return ",".join(items)


def random_spec(dice: random.Random) -> str:
    """An event with explicit hours and minutes."""
    days = ["Mon", "tue", "Wednesday", "thu", "friday", "Sat", "sun"]
    weekdays = ""
    if dice.random() < 0.4:
        low = dice.randrange(7)
        high = dice.randrange(low, 7)
        weekdays = dice.choice([days[low], f"{days[low]}..{days[high]}", f"{days[low]},{days[high]}"]) + " "
    date = ""
    if dice.random() < 0.5:
        year = dice.choice(["", "", "*-", "2026..2029-", "2027-"])
        date = f"{year}{random_list(dice, 1, 12, 0.5)}-{random_list(dice, 1, 31, 0.3)} "
    time = f"{random_list(dice, 0, 23, 0.3)}:{random_list(dice, 0, 59, 0.2)}"
    if dice.random() < 0.2:
        time += f":{random_list(dice, 0, 59, 0.1)}"
    return f"{weekdays}{date}{time}"


def asked_of_systemd(specs: list[str], base: str) -> dict[str, list[int]]:
    """The next events of each spec that systemd accepts, in unix seconds."""
    assert SYSTEMD_ANALYZE, "systemd-analyze is missing (apt-get install systemd)"
    answer = subprocess.run(
        [SYSTEMD_ANALYZE, "calendar", f"--iterations={ITERATIONS}", f"--base-time={base}", *specs],
        env={"TZ": "UTC", "LC_ALL": "C", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,  # it fails if it refuses one of them
    ).stdout
    found: dict[str, list[int]] = {}
    # the original form is left out where it is the normalized one
    for block in re.split(r"\n\n+", answer):
        spec = re.search(r"(?:Original|Normalized) form: (.+)", block)
        if spec is not None:
            moments = re.findall(r"(?:Next elapse|Iter\. #\d+|Iteration #\d+): \w{3} ([0-9: -]+) UTC", block)
            found[spec[1]] = [int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) for text in moments]
    return found


def asked_of_us(spec: str, base: str) -> list[int]:
    moment: float | None = datetime.fromisoformat(base).replace(tzinfo=UTC).timestamp()
    event = CalendarEvent.parse(spec)
    found = []
    for _ in range(ITERATIONS):
        assert moment is not None
        moment = event.next(moment, UTC)
        if moment is None:
            break
        found.append(moment)
    return found


def bounded(spec: str) -> str:
    """The same event with the end of each open repetition written out: ``10/31`` as ``10..59/31``."""
    *dates, time = spec.split(" ")
    times = [_bounded(part, 23 if place == 0 else 59) for place, part in enumerate(time.split(":"))]
    if not dates or "-" not in dates[-1]:
        return " ".join([*dates, ":".join(times)])
    *years, months, days = dates[-1].split("-")
    return " ".join([*dates[:-1], "-".join([*years, _bounded(months, 12), _bounded(days, 31)]), ":".join(times)])


def _bounded(values: str, last: int) -> str:
    return re.sub(r"(?<![.\d])(\d+)/", rf"\1..{last}/", values)


def test_a_thousand_random_events_fire_when_systemd_fires_them() -> None:
    """Where systemd (252) overshoots itself, it must agree once the repetitions' ends are written out.

    From 31 December ``*-*-1/7`` has no 1 January for it, from 23:59 ``*:10/31`` no 0:10.
    """
    dice = random.Random(20261123)
    agreed: set[tuple[str, str]] = set()
    while len(agreed) < SPECS:
        base = dice.choice(BASES)
        answers = asked_of_systemd([random_spec(dice) for _ in range(250)], base)
        overshot = {spec for spec, moments in answers.items() if asked_of_us(spec, base) != moments}
        bounds = {spec: bounded(spec) for spec in overshot}
        again = asked_of_systemd(list(bounds.values()), base) if bounds else {}

        assert {spec: asked_of_us(spec, base) for spec in overshot} == {
            spec: again[text] for spec, text in bounds.items()
        }
        assert len(overshot) < len(answers) / 5
        agreed |= {(spec, base) for spec in answers.keys() - overshot}
