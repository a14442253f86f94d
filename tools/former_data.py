"""Makes the files of an earlier version by its own code: ``python -m tools.former_data 0.1.0``.

They are kept in ``tests/data/VERSION``, and the tests open them with the present code. The version's code is taken out
of the repository's history, and runs with the libraries of this checkout.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests" / "data"
COMMITS = {"0.1.0": "7b3b051"}
"""The last commit of each version."""

_SETTINGS = """\
# the node that was set up first
node = "alpha"
timezone = "UTC"
state_dir = "state"
control = "control.sock"

[cluster]
path = "cluster.toml"

[[notify]]
name = "admin"
url = "json://127.0.0.1:9/"
"""
_CLUSTER = """\
# kept by hand
[nodes.alpha]
address = "local"

[nodes.beta]
address = "127.0.0.1"  # the other room
port = 9

[storages.data]
path = "tank/data"

[guests.100]
name = "web"
node = "alpha"

[guests.101]
node = "alpha"
volumes = ["data:mail/spool", "data:mail/index"]
freeze = "true"
thaw = "true"
"""
_VERBS = (
    ("create-local-job", "100-0", "beta", "--schedule", "*/15", "--keep", "7d:1d", "--comment", "by the first version"),
    ("create-local-job", "101-0", "beta", "--schedule", "mon..fri 22:30", "--rate", "50"),
    ("disable", "101-0"),
    ("run", "--id", "100-0"),
)
"""What a person types; the run fails, since nobody listens on the port of ``beta``."""


def main() -> None:
    """Make the data of the version that is named."""
    version = sys.argv[1]
    with TemporaryDirectory() as folder:
        code = Path(folder, "code")
        packed = subprocess.run(["git", "-C", ROOT, "archive", COMMITS[version]], stdout=subprocess.PIPE, check=True)
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
            archive.extractall(code, filter="data")
        place = Path(folder, "data")
        place.mkdir()
        _make(place, code)
        shutil.rmtree(DATA / version, ignore_errors=True)
        (DATA / version).mkdir(parents=True)
        for name in ("zsr.toml", "cluster.toml", "state/state.db"):
            (DATA / version / Path(name).name).write_bytes((place / name).read_bytes())
    print(f"made {DATA / version}")  # noqa: T201 - the command's only word


def _make(place: Path, code: Path) -> None:
    settings = _SETTINGS
    for name in ("state", "control.sock", "cluster.toml"):
        settings = settings.replace(f'"{name}"', f'"{place / name}"')
    (place / "zsr.toml").write_text(settings)
    (place / "cluster.toml").write_text(_CLUSTER)
    environment = {**os.environ, "PYTHONPATH": str(code), "ZSR_CONFIG": str(place / "zsr.toml")}
    history = Path(__file__).with_name("former_history.py")
    subprocess.run([sys.executable, history, place / "state"], env=environment, cwd=code, check=True)
    for words in _VERBS:
        argv = [sys.executable, "-c", "from replicator.cli.main import main; main()", *words]
        subprocess.run(argv, env=environment, cwd=code, check=words[0] != "run")
    (place / "zsr.toml").write_text(_SETTINGS)


if __name__ == "__main__":
    main()
