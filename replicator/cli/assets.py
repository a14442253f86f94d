"""``zsr assets``: the files that come with zsr for other programs: rules, dashboards, units, examples, completion."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import click

from replicator import __version__
from replicator.cli.completion import SHELLS, script
from replicator.cli.man_pages import man_pages
from replicator.cli.output import print_json, print_table
from replicator.errors import ConfigError

_CHECKOUT = Path(__file__).parents[2] / "packaging"
_PROGRAMS = "/usr/bin/"
"""Where the units expect zsr, as its Debian package installs it."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A folder of files that come with zsr.

    Attributes:
        name: what it is called here, and the folder's name after an export.
        use: what is done with the files.
        place: the package that has them, and their folder in it; none: they are made from the commands.
        pattern: which files of that folder.
    """

    name: str
    use: str
    place: tuple[str, str] | None = None
    pattern: str = r".*"


ASSETS = (
    Asset("alertmanager", "routes and inhibitions, for alertmanager.yml", ("alerts", "alertmanager"), r".*\.yml"),
    Asset("completion", "for the shell: 'zsr' below bash/, '_zsr' below zsh/, 'zsr.fish' below fish/"),
    Asset("dashboards", "for Grafana", ("grafana", "dashboards"), r".*\.json"),
    Asset("examples", "zsr.toml, cluster.toml, and what Prometheus needs", ("replicator", "assets/examples")),
    Asset("man", "manual pages, for /usr/local/share/man/man1"),
    Asset("provisioning", "lets Grafana load the dashboards and the data source", ("grafana", "provisioning")),
    Asset("rules", "for Prometheus: load all of them", ("alerts", "rules"), r"[^/]*\.yml"),
    Asset("runbooks", "what to do about each alert", ("alerts", "runbooks"), r".*\.md"),
    Asset("systemd", "units, for /etc/systemd/system", ("replicator", "assets/systemd"), r".*\.(service|socket)"),
)


@click.group()
def assets() -> None:
    """Files that come with zsr: alert rules, dashboards, units, examples, completion, manual pages."""


@assets.command("list")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
def list_assets(form: str) -> None:
    """List what can be exported."""
    if form == "json":
        print_json([{"name": each.name, "use": each.use, "files": [*_content(each)]} for each in ASSETS])
    else:
        rows = [(each.name, str(len(_content(each))), each.use) for each in ASSETS]
        print_table(("Name", "Files", "Use"), rows)


class _Folder(click.Path):
    """A folder to write into; an empty text, as of a variable that is not set, is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType.convert`."""
        if value == "":
            self.fail("it is empty; the present folder is '.'.", param, ctx)
        return super().convert(value, param, ctx)


@assets.command()
@click.argument("folder", metavar="DIR", type=_Folder(path_type=Path, file_okay=False))
@click.option(
    "--only", multiple=True, type=click.Choice([each.name for each in ASSETS]), help="Only these; may be repeated."
)
@click.option("--force", is_flag=True, help="Overwrite files that differ.")
def export(folder: Path, only: tuple[str, ...], *, force: bool) -> None:
    """Write the files below DIR, in a folder for each kind.

    A file that is there and differs is never overwritten without --force: then nothing is written at all.
    """
    chosen = {each: _content(each) for each in ASSETS if not only or each.name in only}
    there = {folder / each.name / path: data for each, content in chosen.items() for path, data in content.items()}
    differing = sorted(path for path, data in there.items() if path.exists() and path.read_bytes() != data)
    if differing and not force:
        raise ConfigError(
            f"Nothing was written, since these differ from the files of zsr {__version__}: "
            f"{', '.join(map(str, differing[:5]))}{', ...' if len(differing) > 5 else ''}.",
            advice="Give another folder, or --force to overwrite them.",
        )
    new = {path for path in there if not path.exists()}
    for path in sorted({*new, *differing}):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(there[path])
    for each, content in chosen.items():
        mine = [folder / each.name / path for path in content]
        _report(folder / each.name, [path for path in mine if path in new or path in differing], len(mine))


def _report(folder: Path, written: list[Path], count: int) -> None:
    for path in written if len(written) <= 5 else ():
        click.echo(f"wrote {path}")
    if len(written) > 5:
        click.echo(f"wrote {len(written)} files below {folder}/")
    if len(written) < count:
        click.echo(f"unchanged: {count - len(written)} files below {folder}/")


def _content(asset: Asset) -> Mapping[str, bytes]:
    """Return an asset's files by their paths in its folder."""
    if asset.place is None:
        return _made(asset.name)
    package, folder = asset.place
    found = {
        path: file.read_bytes()
        for path, file in _walked(_folder(package, folder), "")
        if re.fullmatch(asset.pattern, path)
    }
    return {path: _for_this_installation(data) for path, data in found.items()} if asset.name == "systemd" else found


def _made(name: str) -> Mapping[str, bytes]:
    """Make files from the commands themselves."""
    command = click.get_current_context().find_root().command
    if name == "man":
        return {path: text.encode() for path, text in man_pages(command, "zsr", __version__).items()}
    names = {"bash": "bash/zsr", "zsh": "zsh/_zsr", "fish": "fish/zsr.fish"}
    return {names[shell]: script(command, shell).encode() for shell in SHELLS}


def _folder(package: str, folder: str) -> Traversable:
    found = files(package).joinpath(folder)
    if found.is_dir():
        return found
    return _CHECKOUT / "examples" if folder.endswith("examples") else _CHECKOUT  # an editable installation


def _walked(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for each in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if each.is_file():
            yield f"{prefix}{each.name}", each
        elif each.is_dir() and each.name != "__pycache__":
            yield from _walked(each, f"{prefix}{each.name}/")


def _for_this_installation(unit: bytes) -> bytes:
    """Return a unit that starts the zsr of this installation, which lies next to its Python."""
    programs = Path(sys.executable).parent
    return unit.replace(_PROGRAMS.encode(), f"{programs}/".encode()) if (programs / "zsr").exists() else unit
