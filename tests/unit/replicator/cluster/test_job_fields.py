"""A setting of a job stands in the model, in one entry and in the docs; file, options and JSON follow from these."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from replicator.cli.jobs import DELETABLE, create_local_job, job_options, update
from replicator.cluster.job_fields import FIELDS, JobField, json_values, stored_values
from replicator.cluster.toml_schema import job_model, job_of
from replicator.models import Job, JobId

DOCS = Path(__file__).parents[4] / "docs"
JOB = JobId(100, 0)


@dataclass(frozen=True, slots=True)
class PriorityJob(Job):
    """A job with a setting that zsr does not have."""

    priority: int = 3


PRIORITY = JobField("priority", int, "Which goes first.", metavar="INTEGER", parse=int)


class TestANewField:
    """Two places in the code: `PriorityJob.priority` and `PRIORITY`."""

    fields = (*FIELDS, PRIORITY)

    def test_is_read_from_the_clusters_file(self) -> None:
        model = job_model(self.fields, PriorityJob)

        job = job_of(JOB, model.model_validate({"target": "beta", "priority": 7}), self.fields, PriorityJob)
        assert job == PriorityJob(JOB, "beta", priority=7)

    def test_at_its_default_is_read_from_a_file_without_it(self) -> None:
        model = job_model(self.fields, PriorityJob)

        assert job_of(JOB, model.model_validate({"target": "beta"}), self.fields, PriorityJob) == PriorityJob(
            JOB, "beta"
        )

    def test_is_written_to_the_clusters_file_unless_it_is_at_its_default(self) -> None:
        assert stored_values(PriorityJob(JOB, "beta", priority=7), self.fields)["priority"] == 7
        assert stored_values(PriorityJob(JOB, "beta"), self.fields)["priority"] is None

    def test_is_an_option_of_commands(self) -> None:
        given: dict[str, Any] = {}

        @click.command()
        def command(**values: Any) -> None:
            given.update(values)

        result = CliRunner().invoke(job_options(command, self.fields), ["--priority", "7"])

        assert (result.exit_code, given["priority"]) == (0, 7)
        assert "Which goes first." in CliRunner().invoke(command, ["--help"]).output

    def test_is_in_json(self) -> None:
        assert json_values(PriorityJob(JOB, "beta", priority=7), self.fields)["priority"] == 7


def test_every_setting_of_a_job_is_a_field() -> None:
    names = [field.name for field in dataclasses.fields(Job)]

    assert sorted(names) == sorted(["id", "target", "source", *(field.name for field in FIELDS)])


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_field_is_in_the_docs(field: JobField) -> None:
    assert f"`jobs.ID.{field.name}`" in (DOCS / "settings.md").read_text()
    if field.help is not None:
        assert re.search(rf"`--{field.key}\b", (DOCS / "commands.md").read_text())


@pytest.mark.parametrize("key", DELETABLE)
def test_every_key_that_can_be_set_back_to_its_default_is_in_the_docs(key: str) -> None:
    [listed] = re.findall(r"sets keys back to their\s+default \(([^)]*)\)", (DOCS / "commands.md").read_text())

    assert f"`{key}`" in listed


@pytest.mark.parametrize("command", [create_local_job, update], ids=["create-local-job", "update"])
def test_every_field_with_a_help_text_is_an_option(command: click.Command) -> None:
    options = {parameter.name for parameter in command.params}

    assert {field.key for field in FIELDS if field.help is not None} <= options
