"""Only one module issues permits to destroy, and nothing destroys without one (contract: Destruction)."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from replicator.zfs import client, commands, permits

ROOT = Path(__file__).parents[2]
PACKAGES = ("replicator", "exporter", "alerts", "grafana")
DECIDES = "replicator/replication/destruction.py"
COMMANDS = "replicator/zfs/commands.py"
CLIENT = "replicator/zfs/client.py"
PROGRAM = "replicator/zfs/verify_and_prune.lua"
WHOLE = "replicator/zfs/destroy_replica.lua"

PERMITS = {name for name, _ in inspect.getmembers(permits, inspect.isclass) if name.endswith("Permit")}
DESTROYING_WORDS = {"destroy", "rollback", "-A"}
DESTROYING_COMMANDS = {"abort_receive", "destroy_bookmark", "destroy_replica", "destroy_snapshots", "rollback"}


def sources() -> Iterator[tuple[str, ast.Module]]:
    """All modules of the program by path, parsed."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def called(node: ast.AST) -> str:
    """The last name of what a call calls; empty for other nodes."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions of a module."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def words(tree: ast.AST) -> set[str]:
    """The strings that are a word of a command: elements of a list."""
    lists = (node for node in ast.walk(tree) if isinstance(node, ast.List))
    return {str(each.value) for one in lists for each in one.elts if isinstance(each, ast.Constant)}


def test_the_permits_are_known() -> None:
    assert len(PERMITS) == 5
    assert all(callable(getattr(commands, name)) for name in DESTROYING_COMMANDS)


def test_only_the_decisions_issue_permits() -> None:
    issuers = {path for path, tree in sources() for node in ast.walk(tree) if called(node) in PERMITS}
    assert issuers == {DECIDES}


def test_every_permit_is_issued_somewhere() -> None:
    tree = ast.parse((ROOT / DECIDES).read_text())
    assert {called(node) for node in ast.walk(tree)} & PERMITS == PERMITS


def test_only_the_known_commands_destroy() -> None:
    found = {
        (path, function.name)
        for path, tree in sources()
        for function in functions(tree)
        if words(function) & DESTROYING_WORDS and "zfs" in words(function)
    }
    assert found == {(COMMANDS, name) for name in DESTROYING_COMMANDS}


def test_only_two_channel_programs_destroy() -> None:
    programs = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "replicator").rglob("*.lua")
        if re.search(r"zfs\.sync\.(destroy|rollback)", path.read_text())
    }
    assert programs == {PROGRAM, WHOLE}
    destroyed = [line for line in (ROOT / PROGRAM).read_text().splitlines() if "zfs.sync.destroy" in line]
    compared = re.search(r'get_prop\(snapshot, "guid"\)\) == stale\.guid then\n[^\n]*zfs\.sync\.destroy',
                         (ROOT / PROGRAM).read_text())  # fmt: skip
    assert len(destroyed) == 1
    assert compared is not None


def test_the_program_that_destroys_a_replica_asks_everything_first() -> None:
    text = (ROOT / WHOLE).read_text()
    asked, _, done = text.partition("zfs.sync.destroy")
    assert "zfs.sync" not in asked
    assert "return" not in done.replace("return {left = zfs.sync.destroy(name)}", "")
    for question in ("refused({name})", "request.guid", "request.snapshots", "zfs.check.rollback", "zfs.check.destroy"):
        assert question in asked


def test_the_destroying_commands_are_given_only_by_calls_that_take_a_permit() -> None:
    tree = ast.parse((ROOT / CLIENT).read_text())
    by_function = {
        function.name: ast.unparse(function.args)
        for function in functions(tree)
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "commands"
        and node.func.attr in DESTROYING_COMMANDS
    }
    assert set(by_function) == {
        "abort_receive", "destroy_bookmarks", "destroy_replica", "destroy_snapshots", "rollback",
    }  # fmt: skip
    assert all(any(permit in arguments for permit in PERMITS) for arguments in by_function.values())


def test_nothing_else_uses_the_destroying_commands() -> None:
    users = {
        path
        for path, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "commands"
        and node.attr in DESTROYING_COMMANDS
    }
    assert users == {CLIENT}


@pytest.mark.parametrize("name", ["abort_receive", "destroy_bookmarks", "destroy_replica", "destroy_snapshots",
                                  "rollback"])  # fmt: skip
def test_a_call_that_destroys_looks_again_before_it_does(name: str) -> None:
    source = inspect.getsource(getattr(client.ZfsClient, name))
    looks = re.search(r"self\._listed|refuse_changed", source)
    order = re.search(r"commands\.(abort_receive|destroy_\w+|rollback)\(", source)
    assert looks is not None
    assert order is not None
    assert looks.start() < order.start()
