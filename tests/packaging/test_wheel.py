"""The wheel, as pipx and uv install it: with the locked libraries of run time, and none of development."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")

IMPORT_ALL = """
import importlib, pkgutil, sys
for package in ("alerts", "exporter", "grafana", "replicator"):
    found = importlib.import_module(package)
    for each in pkgutil.walk_packages(found.__path__, f"{package}.", onerror=lambda name: sys.exit(name)):
        importlib.import_module(each.name)
        print(each.name)
"""


def run(*argv: str | Path, folder: Path) -> str:
    """Run a command as a user has it: nothing of this checkout is on its path."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([*map(str, argv)], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(*PIP, "wheel", ROOT, "--no-deps", "--no-build-isolation", "--wheel-dir", folder, folder=folder)
    (built,) = folder.glob("zsr-*-py3-none-any.whl")
    return built


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of a clean virtual environment in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", folder=folder)
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    for name, version in locked("runtime.txt").items():
        found = distribution(name)
        assert found.version == version, f"both locks have the same {name}"
        link(found, site)
    into = (*PIP, "--python", folder / "venv/bin/python", "install", "--no-deps", "--no-index")
    run(*into, wheel, folder=folder)
    return folder / "venv" / "bin"


def locked(lock: str) -> dict[str, str]:
    """The libraries of a lock, with their versions."""
    return dict(re.findall(r"(?m)^([A-Za-z0-9_.-]+)==([^ ;\\]+)", (ROOT / "requirements" / lock).read_text()))


def link(found: Distribution, site: Path) -> None:
    """Put an installed library into another environment, which takes no registry and a fraction of the time."""
    for each in found.files or ():
        if ".." not in each.parts:
            target = site / each
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(Path(str(found.locate_file(each))))


def test_every_module_can_be_imported_without_libraries_of_development(programs: Path) -> None:
    modules = run(programs / "python", "-c", IMPORT_ALL, folder=programs).split()
    assert len(modules) > 200
    assert {"alerts.plugin", "exporter.plugin", "replicator.cli.main", "replicator.hosts.hook_runner"} <= set(modules)


def test_both_programs_and_the_plugins_are_there(programs: Path) -> None:
    assert run(programs / "zsr", "--version", folder=programs).startswith("zsr, version ")
    assert (programs / "zsr-hook").exists()
    assert "test" in run(programs / "zsr", "notify", "--help", folder=programs)


def test_it_has_all_assets_that_a_checkout_has(programs: Path, tmp_path: Path) -> None:
    run(programs / "zsr", "assets", "export", tmp_path / "wheel", folder=programs)
    run(sys.executable, "-m", "replicator.cli.main", "assets", "export", tmp_path / "checkout", folder=ROOT)
    assert contents(tmp_path / "wheel", programs) == contents(tmp_path / "checkout", Path(sys.executable).parent)


def contents(folder: Path, programs: Path) -> dict[str, bytes]:
    """All files below a folder, as if each installation had its programs in the same place."""
    return {
        str(path.relative_to(folder)): path.read_bytes().replace(str(programs).encode(), b"/usr/bin")
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_nothing_of_a_checkout_is_in_it(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert [
        each for each in names if "/tests/" in each or "/render/app" in each or each.endswith((".jsx", ".sh"))
    ] == []
    assert {each.partition("/")[0] for each in names} == {
        "alerts",
        "exporter",
        "grafana",
        "replicator",
        wheel.name.replace("-py3-none-any.whl", ".dist-info"),
    }


def test_it_says_whose_it_is_and_under_which_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith("/METADATA"))
        metadata = archive.read(name).decode()
        assert any(each.endswith("/licenses/LICENSE") for each in archive.namelist())
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    assert "\nAuthor: " in metadata
    assert "\nProject-URL: Homepage, https://" in metadata
