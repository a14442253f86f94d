"""``zsr calendar next`` and ``zsr simulate`` as their users see them: words, JSON, exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from replicator.cli.calendar import calendar
from replicator.cli.simulate import simulate
from replicator.errors import ConfigError

HEAVY = ("asyncssh", "aiohttp", "pydantic", "sqlite3", "rich", "apprise")

SCENARIO = """
start = 1000
end = 8200
timezone = "UTC"
[[job]]
id = "900-0"
target = "node2"
schedule = "*/15"
duration = 0
outcomes = ["failure"]
last_try = 0
"""


def ask(*arguments: str, lines: str | bytes = "") -> Result:
    return CliRunner().invoke(calendar, ["next", *arguments], input=lines)


@pytest.fixture
def scenario(tmp_path: Path) -> Callable[[str], str]:
    def written(text: str) -> str:
        path = tmp_path / "my scenario.toml"
        path.write_text(text)
        return str(path)

    return written


def played(path: str) -> list[dict[str, object]]:
    result = CliRunner().invoke(simulate, [path, "--format", "json"])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


class TestCalendar:
    def test_json_is_one_line_of_unix_seconds(self) -> None:
        result = ask("*/15", "--after", "1000", "--count", "2", "--timezone", "UTC", "--format", "json")

        assert result.stdout == '{"spec": "*/15", "events": [1800, 2700]}\n'

    @pytest.mark.parametrize(
        ("after", "event"),
        [
            ("0", 900),
            ("-1", 0),
            ("899.5", 900),
            ("2026-11-23T08:00:00", 1795418100),
            ("2026-11-23 08:00", 1795418100),
            ("2026-11-23T07:00:00Z", 1795418100),
            ("2026-11-23T09:00:00+02:00", 1795418100),
        ],
    )
    def test_a_time_is_unix_seconds_or_iso_8601_in_the_zone_unless_it_says_another(
        self, after: str, event: int
    ) -> None:
        result = ask("*/15", "--after", after, "--timezone", "Europe/Vienna", "--format", "json")

        assert json.loads(result.stdout)["events"] == [event]

    def test_people_see_local_time_utc_and_how_far_away(self) -> None:
        result = ask("8:00", "--after", "2026-11-23T08:00:00Z", "--timezone", "Europe/Vienna", "--count", "2")

        assert "Next event: Tue 2026-11-24 08:00:00 CET" in result.stdout
        assert "(in UTC): Tue 2026-11-24 07:00:00 UTC" in result.stdout
        assert "Event #2: Wed 2026-11-25 08:00:00 CET" in result.stdout
        assert result.stdout.count("From now: ") == 2

    def test_an_event_that_never_comes_again_is_said_so(self) -> None:
        assert "never again" in ask("2020-1-1").stdout
        result = ask("2020-1-1", "--format", "json")
        assert (json.loads(result.stdout)["events"], result.exit_code) == ([], 0)

    @pytest.mark.parametrize("form", ["table", "json"])
    def test_a_wrong_spec_is_shown_with_a_caret(self, form: str) -> None:
        result = ask("8:61", "--format", form)

        assert (result.exit_code, result.stdout) == (2, "")
        assert "\n8:61\n  ^ expected a minute from 0 to 59\n" in result.stderr

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (("*/15", "--after", "soon"), "'soon' is no time: neither a date and time"),
            (("*/15", "--after", "nan"), "'nan' is no time: neither a date and time"),
            (("*/15", "--timezone", "Europe/Wien"), "'Europe/Wien' is no time zone"),
            (("*/15", "--count", "0"), "0 is not in the range"),
            ((), "Give a calendar event"),
        ],
    )
    def test_wrong_use_is_a_sentence_and_status_2(self, arguments: tuple[str, ...], sentence: str) -> None:
        result = ask(*arguments)

        assert (result.exit_code, result.stdout) == (2, "")
        assert sentence in result.stderr

    def test_a_batch_answers_each_line_also_the_empty_and_the_wrong_ones(self) -> None:
        result = ask("--batch", "--timezone", "UTC", lines="*/15\t1000\n\t1000\n8:61\t0\n*/15\tsoon\n*/15\n")

        answers = [json.loads(line) for line in result.stdout.splitlines()]
        assert result.exit_code == 0
        assert answers[0] == {"spec": "*/15", "events": [1800]}
        assert answers[1] == {"spec": "", "events": [86400]}
        assert [answer["spec"] for answer in answers[2:]] == ["8:61", "*/15", "*/15"]
        assert all(isinstance(answer["error"], str) for answer in answers[2:])

    def test_a_batch_honours_count_and_survives_bytes_that_are_no_text(self) -> None:
        result = ask("--batch", "--count", "2", "--timezone", "UTC", lines=b"\xff\t0\r\n*/30\t0\r\n")

        answers = [json.loads(line) for line in result.stdout.splitlines()]
        assert "error" in answers[0]
        assert answers[1] == {"spec": "*/30", "events": [1800, 3600]}

    def test_it_starts_without_the_heavy_libraries(self) -> None:
        code = f"import sys, replicator.cli.calendar; print([name for name in {HEAVY!r} if name in sys.modules])"

        loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

        assert loaded == "[]\n"


class TestSimulate:
    def test_the_known_example(self, scenario: Callable[[str], str]) -> None:
        *runs, last = played(scenario(SCENARIO))

        assert [run["time"] for run in runs] == [1000, 1300, *range(1800, 8101, 900)]
        assert runs[0] == {
            "time": 1000,
            "job": "900-0",
            "outcome": "failure",
            "consecutive_failures": 1,
            "next_run": 1300,
        }
        assert last == {
            "summary": {
                "runs": 10,
                "failures": 10,
                "missed_runs": 0,
                "rpo_breach_seconds": {"900-0": 5400},
                "busy_fraction": 0.0,
            }
        }

    def test_whole_seconds_are_integers_in_json(self, scenario: Callable[[str], str]) -> None:
        result = CliRunner().invoke(simulate, [scenario(SCENARIO), "--format", "json"])

        assert '{"time": 1000, "job"' in result.stdout
        assert '"rpo_breach_seconds": {"900-0": 5400}' in result.stdout

    def test_the_default_is_every_quarter_of_an_hour_and_success(self, scenario: Callable[[str], str]) -> None:
        *runs, _ = played(scenario('start = 0\nend = 1800\n[[job]]\nid = "900-0"\ntarget = "b"\n'))

        assert [(run["time"], run["outcome"]) for run in runs] == [(0, "success"), (900, "success"), (1800, "success")]

    def test_an_unreachable_run_is_a_failure_in_the_sum(self, scenario: Callable[[str], str]) -> None:
        *_, last = played(scenario(SCENARIO.replace('["failure"]', '["unreachable", "success"]')))

        summary = last["summary"]
        assert isinstance(summary, dict)
        assert summary["failures"] == 1

    def test_the_zone_decides_when_a_local_time_comes(self, scenario: Callable[[str], str]) -> None:
        text = SCENARIO.replace("UTC", "Europe/Vienna").replace("*/15", "8:00").replace("failure", "success")
        *runs, _ = played(scenario(text.replace("end = 8200", "end = 86400")))

        assert [run["time"] for run in runs] == [1000, 7 * 3600]

    def test_people_read_whether_the_schedule_holds(self, scenario: Callable[[str], str]) -> None:
        broken = CliRunner().invoke(simulate, [scenario(SCENARIO)]).stdout
        kept = CliRunner().invoke(simulate, [scenario(SCENARIO.replace("failure", "success"))]).stdout

        assert "BROKEN for 1 h 30 min" in broken
        assert "The schedule does not hold: 900-0 broke the promise." in broken
        assert "The schedule holds." in kept

    def test_all_problems_of_a_scenario_are_reported_at_once(self, scenario: Callable[[str], str]) -> None:
        text = (
            'start = 1000\nend = 10\nzone = "x"\n'
            '[[job]]\nid = "900-0"\ntarget = "b"\nschedule = "8:61"\noutcomes = []\n'
            '[[job]]\nid = "900-00"\ntarget = "b"\noutcomes = ["bad"]\nduration = -1\n'
            '[[job]]\nid = "9"\ntimezone = "Foo"\n'
        )
        with pytest.raises(ConfigError) as refused:
            CliRunner().invoke(simulate, [scenario(text)], catch_exceptions=False)

        lines = str(refused.value).splitlines()[1:]
        assert {line.split(" = ")[0].strip() for line in lines} == {
            "end", "zone", "job.0.schedule", "job.0.outcomes", "job.1.id", "job.1.outcomes.0", "job.1.duration",
            "job.2.id", "job.2.target", "job.2.timezone",
        }  # fmt: skip

    @pytest.mark.parametrize("value", ["-1", "nan", "inf", "1e18", '"now"', "true"])
    def test_a_start_that_is_no_unix_time_is_refused(self, scenario: Callable[[str], str], value: str) -> None:
        with pytest.raises(ConfigError, match="start"):
            CliRunner().invoke(simulate, [scenario(f"start = {value}\nend = 9000\n")], catch_exceptions=False)

    def test_a_wrong_scenario_ends_zsr_with_status_2(self, scenario: Callable[[str], str]) -> None:
        ended = subprocess.run(
            [sys.executable, "-m", "replicator.cli.main", "simulate", scenario("start = 1\nend = 0\n")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip

        assert (ended.returncode, ended.stdout) == (2, "")
        assert "end = 0: not before start (1)" in ended.stderr
