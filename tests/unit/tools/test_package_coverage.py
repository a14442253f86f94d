"""`make coverage`: the figure for each package."""

from __future__ import annotations

from tools.package_coverage import by_package, table


def file(lines: int, run: int) -> dict[str, dict[str, int]]:
    return {"summary": {"num_statements": lines, "covered_lines": run}}


def test_the_files_of_a_package_are_added_up() -> None:
    files = {"replicator/zfs/a.py": file(10, 5), "replicator/zfs/b.py": file(30, 30), "exporter/c.py": file(5, 0)}
    assert by_package(files) == [("exporter", 5, 0), ("replicator/zfs", 40, 35)]


def test_a_package_without_lines_is_left_out() -> None:
    assert by_package({"alerts/__init__.py": file(0, 0)}) == []


def test_the_table_ends_with_all_packages() -> None:
    lines = [line.split() for line in table([("exporter", 5, 0), ("replicator/zfs", 40, 35)]).splitlines()]
    assert lines[1:] == [
        ["exporter", "5", "0", "0.0"],
        ["replicator/zfs", "40", "35", "87.5"],
        ["all", "45", "35", "77.8"],
    ]
