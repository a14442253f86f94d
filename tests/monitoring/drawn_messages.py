"""Draws the mails of docs/pictures, in light and dark, as a phone and a screen show them: ``python -m`` this module.

Not part of `make test`, hence the name: it needs chromium and, to be small, pngquant.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from datetime import UTC
from pathlib import Path

from alerts.notice import Notice, NoticeKind
from alerts.render.content import RenderContext
from alerts.render.renderer import Form, Renderer
from alerts.render.samples import sample

NOW = 1_800_000_000.0
READER = RenderContext(NOW, UTC, page="https://alpha.example.org/", dashboard="https://grafana.example.org")
PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
THEMES = {"light": "1", "dark": "0"}
DRAWN: dict[str, tuple[Notice, int, int]] = {
    "mail-failed-phone": (sample(NoticeKind.FAILED, now=NOW), 400, 740),
    "mail-node": (sample(NoticeKind.TARGET_UNREACHABLE, jobs=200, now=NOW), 660, 1690),
    "mail-digest": (sample(NoticeKind.DIGEST, jobs=8, now=NOW), 660, 960),
}
"""What is drawn, how wide and how high, in pixels."""


def draw(name: str, theme: str) -> Path:
    """Draw one mail; gives the picture."""
    notice, width, height = DRAWN[name]
    picture = PICTURES / f"{name}-{theme}.png"
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "mail.html"
        page.write_text(Renderer().render(notice, Form.HTML, READER).body)
        subprocess.run(
            [
                "chromium",
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                f"--user-data-dir={folder}/profile",
                f"--blink-settings=preferredColorScheme={THEMES[theme]}",
                f"--window-size={width},{height}",
                f"--screenshot={picture}",
                page.as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
    if shutil.which("pngquant"):
        subprocess.run(["pngquant", "--force", "--skip-if-larger", "--ext", ".png", "64", str(picture)], check=False)
    return picture


def main() -> None:
    """Draw all."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in DRAWN:
        for theme in THEMES:
            sys.stdout.write(f"{draw(name, theme)}\n")


if __name__ == "__main__":
    main()
