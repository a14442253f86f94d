"""Read the pages (README, CONTRIBUTING, docs): their code blocks, commands, links, and the files that they name."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
RUNBOOKS = sorted((ROOT / "alerts" / "runbooks").glob("*.md"))

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_PROMPT = re.compile(r"^(?:[#$] |    )(?=zsr |make |printf |python )")


def name(path: Path) -> str:
    """A page's path below the checkout."""
    return str(path.relative_to(ROOT))


def blocks(page: Path, language: str | None = None) -> list[str]:
    """The fenced blocks of a page, of one language or all."""
    return [body for kind, body in _BLOCK.findall(page.read_text()) if language in (None, kind)]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _BLOCK.sub("", page.read_text())


def inline_code(page: Path) -> list[str]:
    """What stands between backticks in the prose of a page."""
    return _CODE.findall(prose(page))


def typed(page: Path) -> list[str]:
    """The lines that a page shows as typed at a prompt (``# zsr ...``) or as an indented block, without the prompt."""
    lines = [line for line in page.read_text().splitlines() if _PROMPT.match(line)]
    return [_PROMPT.sub("", line).strip() for line in lines]


def session(page: Path, first: str) -> tuple[list[str], str]:
    """The words of one typed command, and the output that the page shows for it."""
    found: list[tuple[str, list[str]]] = []
    for block in blocks(page):
        shown: list[str] | None = None
        for line in block.splitlines():
            if _PROMPT.match(line):
                shown = []
                found.append((_PROMPT.sub("", line), shown))
            elif shown is not None:
                shown.append(line)
    (output,) = (lines for command, lines in found if command == first)
    return words(first), "\n".join(output)


def words(command: str) -> list[str]:
    """A typed command as a shell splits it; what follows a comment sign, a pipe or an ampersand is left out."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|&<>")
    lexer.whitespace_split = True
    lexer.commenters = ""
    taken: list[str] = []
    for word in lexer:
        if word in {"|", "&", "<", ">", "&&", "#"}:
            break
        taken.append(word)
    return taken


def zsr_commands(page: Path) -> Iterator[list[str]]:
    """The arguments of each ``zsr`` command that a page shows as typed, also of one that reads from a pipe."""
    for line in typed(page):
        command = line.rpartition("| ")[2] if line.startswith("printf") else line
        if command.startswith("zsr "):
            yield words(command)[1:]


def links(page: Path) -> list[str]:
    """The targets of a page's Markdown links that stay inside the checkout."""
    text = _BLOCK.sub("", page.read_text())
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"\w+://|mailto:", link)]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", _BLOCK.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def section(page: Path, heading: str) -> str:
    """The text below a heading, up to the next one of its level or a higher one."""
    text = page.read_text()
    (mark,) = re.findall(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    after = text.split(f"\n{mark} {heading}\n", 1)[1]
    return re.split(rf"^#{{1,{len(mark)}}} ", after, maxsplit=1, flags=re.MULTILINE)[0]


def files_in(text: str) -> list[str]:
    """The files and folders of the checkout that a text names in backticks."""
    tops = "|".join(
        re.escape(each.name) for each in sorted(ROOT.iterdir()) if each.is_dir() and each.name not in {".git", ".venv"}
    )
    return re.findall(rf"`((?:{tops})/[\w./*-]*)`", text)
