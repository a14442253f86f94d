"""Builds zsr's Debian package, which has all its Python libraries (``make package``).

Libraries are the wheels of ``requirements/runtime.txt``, by their hashes. Those that are the same for each Python are
in ``/usr/lib/zsr/common``, compiled ones in a folder for each Python of `PYTHONS`. One package serves all releases, so
that an upgrade of Debian needs no other one. The same sources make the same package.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from gzip import compress
from hashlib import md5
from pathlib import Path
from zipfile import ZipFile

from replicator import __version__
from tools.debian_copyright import copyright_file

ROOT = Path(__file__).parents[1]
DEBIAN = ROOT / "packaging" / "debian"

PYTHONS = ("3.11", "3.13")
"""The Pythons of Debian 12 and 13, and so of Proxmox VE 8 and 9."""

PLATFORMS: Mapping[str, str] = {"amd64": "x86_64", "arm64": "aarch64"}
MANYLINUX = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
"""Newest glibc first; Debian 12 has 2.36."""

REVISION = "1"
LIBRARIES = "usr/lib/zsr"
DOCS = "usr/share/doc/zsr"
PLACES: Mapping[str, str] = {
    "completion/bash": "usr/share/bash-completion/completions",
    "completion/zsh": "usr/share/zsh/vendor-completions",
    "completion/fish": "usr/share/fish/vendor_completions.d",
    "examples": f"{DOCS}/examples",
    "man": "usr/share/man/man1",
    "systemd": "usr/lib/systemd/system",
}
"""Where a package has what ``zsr assets export`` writes; the rest stays in the libraries."""


def kept_wheels() -> Path:
    """Return the folder in which downloaded wheels are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zsr" / "wheels"


def build(into: Path, architecture: str, wheels: Path, compression: str = "xz") -> Path:
    """Build the package into a folder; ``wheels`` keeps what was downloaded. Return its path."""
    version = f"{__version__}-{REVISION}"
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="zsr-package-") as folder:
        tree = Path(folder) / "tree"
        _libraries(tree, _downloaded(architecture, wheels), _wheel_of_zsr(Path(folder)))
        _programs(tree)
        _assets(tree, Path(folder) / "assets")
        _documents(tree, version)
        _control(tree, version, architecture)
        _settle(tree)
        package = into / f"zsr_{version}_{architecture}.deb"
        _run("dpkg-deb", "--root-owner-group", f"-Z{compression}", "--build", tree, package)
    return package


def _run(*argv: str | Path) -> None:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(_epoch())}
    done = subprocess.run([*map(str, argv)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, argv[:4]))} failed:\n{done.stdout}{done.stderr}")


def _epoch() -> int:
    """Return the time of all files: that of the commit, where nothing else is asked for."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    argv = ["git", "log", "-1", "--format=%ct"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    return int(done.stdout) if done.returncode == 0 else int((ROOT / "CHANGELOG.md").stat().st_mtime)


def _pip(*arguments: str | Path) -> None:
    _run(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)


def _downloaded(architecture: str, wheels: Path) -> Mapping[str, Sequence[Path]]:
    """Return the wheels of all libraries for each Python."""
    machine = PLATFORMS[architecture]
    lock = ROOT / "requirements" / "runtime.txt"
    found = {}
    for python in PYTHONS:
        folder = wheels / f"{architecture}-{python}-{md5(lock.read_bytes(), usedforsecurity=False).hexdigest()}"
        if not folder.is_dir():
            fresh = folder.with_suffix(".new")
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(parents=True)
            platforms = [word for each in MANYLINUX for word in ("--platform", f"{each}_{machine}")]
            chosen = ("--no-deps", "--require-hashes", "--only-binary", ":all:", "--python-version", python, *platforms)
            _pip("download", *chosen, "--dest", fresh, "-r", lock)
            fresh.rename(folder)
        found[python] = sorted(folder.glob("*.whl"))
    return found


def _wheel_of_zsr(folder: Path) -> Path:
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder / "wheel", ROOT)
    (wheel,) = (folder / "wheel").glob("zsr-*.whl")
    return wheel


def _libraries(tree: Path, downloaded: Mapping[str, Sequence[Path]], zsr: Path) -> None:
    everywhere = set.intersection(*({each.name for each in wheels} for wheels in downloaded.values()))
    for wheel in (zsr, *(each for each in downloaded[PYTHONS[0]] if each.name in everywhere)):
        _unpack(wheel, tree / LIBRARIES / "common")
    for python, wheels in downloaded.items():
        for wheel in wheels:
            if wheel.name not in everywhere:
                _unpack(wheel, tree / LIBRARIES / f"python{python}")


def _unpack(wheel: Path, folder: Path) -> None:
    with ZipFile(wheel) as archive:
        for name in archive.namelist():
            if ".data/" in name:  # scripts and headers: nothing that is imported
                raise SystemExit(f"{wheel.name} has {name}: teach this program where that belongs.")
            if not name.endswith("/RECORD"):
                archive.extract(name, folder)


def _programs(tree: Path) -> None:
    template = (DEBIAN / "zsr").read_text()
    for name, module in (("zsr", "replicator.cli.main"), ("zsr-hook", "replicator.hosts.hook_runner")):
        _write(tree / "usr/bin" / name, template.replace("@MODULE@", module), 0o755)


def _assets(tree: Path, folder: Path) -> None:
    _run(sys.executable, "-m", "replicator.cli.main", "assets", "export", folder)
    for source, place in PLACES.items():
        for path in sorted((folder / source).iterdir()):
            data = path.read_bytes().replace(f"{Path(sys.executable).parent}/".encode(), b"/usr/bin/")
            is_manual = source == "man"
            _write(tree / place / f"{path.name}{'.gz' * is_manual}", compress(data, 9, mtime=0) if is_manual else data)


def _documents(tree: Path, version: str) -> None:
    for path in sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]):
        _write(tree / DOCS / ("docs" if path.parent.name == "docs" else ".") / path.name, path.read_bytes())
    _write(tree / "usr/share/man/man8/zsr-hook.8.gz", compress((DEBIAN / "zsr-hook.8").read_bytes(), 9, mtime=0))
    _write(tree / DOCS / "changelog.gz", compress((ROOT / "CHANGELOG.md").read_bytes(), 9, mtime=0))
    date = subprocess.run(["date", "-u", "-R", f"--date=@{_epoch()}"], capture_output=True, text=True, check=True)
    entry = (
        f"zsr ({version}) stable; urgency=medium\n\n  * What changed is in changelog.gz.\n\n"
        f" -- The zsr developers <zsr@zsr-project.invalid>  {date.stdout.strip()}\n"
    )
    _write(tree / DOCS / "changelog.Debian.gz", compress(entry.encode(), 9, mtime=0))
    _write(tree / DOCS / "copyright", copyright_file(tree / LIBRARIES))
    _write(tree / "usr/share/lintian/overrides/zsr", (DEBIAN / "lintian-overrides").read_bytes())
    _write(tree / "usr/share/python3/runtime.d/zsr.rtupdate", (DEBIAN / "rtupdate").read_bytes(), 0o755)


def _control(tree: Path, version: str, architecture: str) -> None:
    (tree / "etc/zsr").mkdir(parents=True)
    size = sum(path.stat().st_size for path in _files(tree)) // 1024
    sums = [f"{_md5(path)}  {path.relative_to(tree)}\n" for path in _files(tree)]
    control = (DEBIAN / "control").read_text()
    for name, value in (("VERSION", version), ("ARCHITECTURE", architecture), ("SIZE", str(size))):
        control = control.replace(f"@{name}@", value)
    _write(tree / "DEBIAN/control", control)
    _write(tree / "DEBIAN/md5sums", "".join(sums))
    for script in ("postinst", "prerm", "postrm"):
        _write(tree / "DEBIAN" / script, (DEBIAN / script).read_bytes(), 0o755)


def _md5(path: Path) -> str:
    return md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _files(tree: Path) -> Iterator[Path]:
    return (path for path in sorted(tree.rglob("*")) if path.is_file())


def _write(path: Path, content: bytes | str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)


def _settle(tree: Path) -> None:
    """Give all files the rights and the time that they have in the package, whatever the builder's umask."""
    programs = {path for path in _files(tree) if path.stat().st_mode & 0o100 and path.suffix not in {".py", ".so"}}
    for path in sorted(tree.rglob("*"), reverse=True):
        path.chmod(0o755 if path.is_dir() or path in programs else 0o644)
        os.utime(path, (_epoch(), _epoch()))
    (tree / "etc/zsr").chmod(0o700)
    tree.chmod(0o755)
    os.utime(tree, (_epoch(), _epoch()))


def check(package: Path) -> bool:
    """Let lintian look at a package; return whether it found nothing that is not explained."""
    if shutil.which("lintian") is None:
        sys.stdout.write("1 check skipped: lintian is not installed (apt-get install lintian)\n")
        return True
    argv = ["lintian", "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0", str(package)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    sys.stdout.write(done.stdout + done.stderr or "lintian finds nothing that is not explained\n")
    return done.returncode == 0


def main() -> None:
    """Build a package as the command line says, and check it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--into", type=Path, default=ROOT / "dist")
    options.add_argument("--architecture", choices=sorted(PLATFORMS), default="amd64")
    options.add_argument("--wheels", type=Path, default=kept_wheels())
    options.add_argument("--compression", choices=["xz", "none"], default="xz")
    chosen = options.parse_args()
    package = build(chosen.into.absolute(), chosen.architecture, chosen.wheels.absolute(), chosen.compression)
    sys.stdout.write(f"{package} ({package.stat().st_size >> 20} MiB)\n")
    sys.exit(0 if check(package) else 1)


if __name__ == "__main__":
    main()
