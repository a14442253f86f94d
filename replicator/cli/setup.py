"""``zsr setup``: from the answers of a person, or of a file, to two nodes that replicate."""

from __future__ import annotations

import asyncio
import difflib
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import click
import tomli

from replicator.api.doctor import Level
from replicator.cli.cluster_copies import WORDS, Copies
from replicator.cli.context import config_option, config_path
from replicator.cli.doctor import look, rendered
from replicator.cli.setup_dialogue import Dialogue
from replicator.cli.setup_questions import Questions
from replicator.cluster.file_copies import REPLACEABLE, Standing
from replicator.config.problems import SettingsError, read_toml
from replicator.config.settings import load_settings
from replicator.doctor import catalogue
from replicator.doctor.examination import Wishes
from replicator.errors import ConfigError
from replicator.setup.answers import Answers, answers_text, read_answers
from replicator.setup.existing import Existing, read_existing, trial_ssh
from replicator.setup.facts import Facts
from replicator.setup.files import FileChange
from replicator.setup.other_nodes import set_up_other
from replicator.setup.plan import Gathered, Plan, drafted, make_plan, write_plan
from replicator.setup.texts import hidden, is_here, prometheus_text, secrets_of
from replicator.setup.trials import final_look, machine_facts
from replicator.setup.verification import Verification

_LATER = {catalogue.DAEMON, catalogue.RELOAD, catalogue.UNIT, "exporter", "scrape", "rules"}
"""Checks of doctor that are well only after the daemon was started, and after Prometheus knows of it."""


@click.command()
@click.option(
    "--answers",
    "file",
    type=click.Path(path_type=Path, readable=False),
    metavar="FILE",
    help="Take the answers from a TOML file, and ask nothing.",
)
@click.option("--show-answers", is_flag=True, help="Print the answers for --answers FILE; all else on standard error.")
@config_option
def setup(file: Path | None, show_answers: bool) -> None:
    """Set up this node and others: ask what must be decided, try each answer, write the files, and show them.

    Exit status: 0 set up, 1 not written, or doctor finds a failure, 2 a wrong answer: nothing was written.
    """
    dialogue = Dialogue(err=show_answers)
    if file is None:
        dialogue.refuse_without_terminal()
    existing = read_existing(config_path())
    with tempfile.TemporaryDirectory(prefix="zsr-setup-") as folder:
        try:
            plan = _prepare(dialogue, existing, Path(folder), file)
        except (click.Abort, KeyboardInterrupt):
            plan = None
    if plan is None:
        dialogue.say("\nNothing was written.")
        click.get_current_context().exit(1)
    dialogue.head("Written")
    for sentence in write_plan(plan):
        dialogue.explain(sentence)
    if not plan.is_needed:
        dialogue.explain("Nothing: the files here are as they should be.")
    well = _others(dialogue, plan)
    well = _doctor(dialogue, existing.path) and well
    _next_steps(dialogue, plan)
    if show_answers:
        click.echo(answers_text(plan.gathered.answers), nl=False)
    if not well:
        click.get_current_context().exit(1)


def _prepare(dialogue: Dialogue, existing: Existing, folder: Path, file: Path | None) -> Plan | None:
    """Return what is to be written; None if a person does not want it."""
    if file is None:
        facts = asyncio.run(machine_facts())
        gathered = Questions(dialogue, existing, facts, folder).ask()
    else:
        text = read_toml(file, "docs/commands.md has one; zsr setup --show-answers prints one.")
        facts = asyncio.run(machine_facts())
        gathered = _of_file(dialogue, existing, facts, folder, (file, text))
    metrics = gathered.answers.metrics
    metrics_here = metrics is None or is_here(metrics.prometheus, facts.addresses, facts.hostname)
    plan = make_plan(gathered, existing, metrics_here=metrics_here)
    ssh = trial_ssh(folder, existing, gathered.key, gathered.known_lines)
    settings, cluster = drafted(plan, ssh, folder)
    found = asyncio.run(final_look(settings, cluster, [node.name for node in gathered.answers.nodes]))
    if found:
        dialogue.head("Found on both sides, by the answers")
        dialogue.show(found)
    _summary(dialogue, plan)
    return plan if file is not None or dialogue.yes("Write all this?", default=False) else None


def _of_file(
    dialogue: Dialogue, existing: Existing, facts: Facts, folder: Path, file: tuple[Path, Mapping[str, object]]
) -> Gathered:
    """Return the answers of a file and its text; raises SettingsError with all that is wrong with them."""
    path, text = file
    answers, problems = read_answers(text)
    if answers is not None:
        verification = Verification(answers, existing, facts, folder)
        gathered = asyncio.run(verification.verify())
        if gathered is not None:
            dialogue.show(verification.lines)
            return gathered
        problems = verification.problems
    count = f"{len(problems)} wrong answer{'s' if len(problems) > 1 else ''}"
    raise SettingsError(path, problems, f"{path}: {count}; nothing was written:")


def _summary(dialogue: Dialogue, plan: Plan) -> None:
    gathered = plan.gathered
    dialogue.head("To be written")
    if gathered.key.private is not None:
        dialogue.explain(f"{gathered.key.path}: a new key")
    for line in gathered.known_lines:
        dialogue.explain(f"{plan.known_hosts}: the host key of {line.split()[0]}")
    for change in (plan.cluster, plan.settings):
        _show_change(dialogue, change)
    for node in gathered.answers.nodes:
        if node.way_back:
            dialogue.explain(f"{node.name}: a key for it, unless it has one; it may log in here as root then")
        if node.files:
            dialogue.explain(f"{node.name}: {plan.settings.path} unless it has one, and {plan.cluster.path}")
    dialogue.say()


def _show_change(dialogue: Dialogue, change: FileChange) -> None:
    """Print what changes in a file, without secrets."""
    if not change.is_needed:
        dialogue.explain(f"{change.path}: nothing changes")
        return
    secrets = [secret for text in (change.before, change.after) if text for secret in _secrets(text)]
    before, after = (hidden(text or "", secrets) for text in (change.before, change.after))
    dialogue.explain(f"{change.path}{' (new)' if change.before is None else ''}:")
    lines: Iterable[str] = after.splitlines()
    if change.before is not None:
        lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1))[2:]
    for line in lines:
        dialogue.say(f"    {line}".rstrip())


def _secrets(text: str) -> list[str]:
    return secrets_of(tomli.loads(text))


def _others(dialogue: Dialogue, plan: Plan) -> bool:
    """Set up the other nodes, and give them the cluster file; return whether all that was wanted was done."""
    settings, well = load_settings(plan.settings.path), True
    answers = plan.gathered.answers
    for node in answers.nodes:
        if not (node.way_back or node.files):
            continue
        result = asyncio.run(set_up_other(plan, node, settings.ssh, Path.home()))
        for sentence in (*result.done, *result.failed):
            dialogue.explain(sentence)
        well = well and not result.failed
    wanted = [node.name for node in answers.nodes if node.zsr and node.files]
    return _push(dialogue, plan, wanted) and well if wanted else well


def _push(dialogue: Dialogue, plan: Plan, names: list[str]) -> bool:
    """Write the cluster file to other nodes, as ``zsr cluster push`` does; return whether all have it."""
    try:
        copies = Copies.read(load_settings(plan.settings.path), names)
    except ConfigError as error:
        dialogue.explain(str(error))
        return False
    standings = {name: copies.standing(name) for name in names}
    for name, found in standings.items():
        if found is None:
            dialogue.explain(f"{name}: {copies.others[name]}")
        elif found not in REPLACEABLE:
            dialogue.explain(f"{name}: its cluster file stays: it {WORDS[found]}. Compare: zsr cluster diff {name}")
    chosen = [name for name, found in standings.items() if found in REPLACEABLE]
    failed = copies.push([name for name in chosen if standings[name] is not Standing.SAME])
    return not failed and len(chosen) == len(names)


def _doctor(dialogue: Dialogue, path: Path) -> bool:
    """Show what ``zsr doctor`` finds; return whether nothing fails but what the daemon does."""
    dialogue.head("zsr doctor")
    here, lines, addresses = look(path, Wishes())
    runs = any(line.check == catalogue.DAEMON and line.level is Level.OK for line in lines)
    shown = [line for line in lines if runs or line.check not in _LATER]
    for text in rendered(shown, here, addresses, quiet=True):
        dialogue.say(text)
    return not any(line.level is Level.FAIL for line in shown)


def _next_steps(dialogue: Dialogue, plan: Plan) -> None:
    answers: Answers = plan.gathered.answers
    dialogue.head("Next")
    dialogue.say("  systemctl enable --now zsr")
    for node in answers.nodes:
        if node.zsr and not node.files:
            dialogue.say(f"  zsr setup     # on {node.name}, when zsr is installed there")
        elif node.zsr:
            dialogue.say(
                f"  ssh -i {answers.ssh.key} {_login(node.address, node.port, node.user)} systemctl enable --now zsr"
            )
    dialogue.say("  zsr status")
    if answers.metrics is not None:
        dialogue.say()
        dialogue.say("  In prometheus.yml, below scrape_configs (rules and dashboards: docs/monitoring.md):")
        dialogue.say()
        dialogue.say(prometheus_text(answers, here=plan.metrics_here).rstrip())


def _login(address: str, port: int, user: str) -> str:
    return f"{'' if port == 22 else f'-p {port} '}{user}@{address}"
