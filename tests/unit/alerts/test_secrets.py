"""Secrets outside the settings: where they may be, what is wrong with them, and that nothing shows them."""

from __future__ import annotations

import base64
import os
import traceback
from pathlib import Path

import pytest

from alerts.redaction import MASK, redact
from alerts.secrets import Secret, SecretError, all_derived, read_secret

SECRET = "hunter2-secret+/x"
URL = "https://bob:hunter2-secret@hooks.example.org/T0KENPATH"


def put(path: Path, text: str = SECRET, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def refusal(value: object, **environ: str) -> SecretError:
    with pytest.raises(SecretError) as caught:
        read_secret(value, environ)
    return caught.value


def test_a_text_is_itself() -> None:
    assert read_secret(f" {URL} ", {}) == Secret(URL)


def test_a_file_holds_it(tmp_path: Path) -> None:
    path = put(tmp_path / "with a space", f"\n{SECRET}\n")
    assert read_secret(f"file:{path}", {}) == Secret(SECRET, f"file:{path}")


def test_the_environment_holds_it() -> None:
    assert read_secret("env:ZSR_KEY", {"ZSR_KEY": SECRET}).text == SECRET


def test_a_credential_of_systemd_holds_it(tmp_path: Path) -> None:
    put(tmp_path / "hook-key", mode=0o400)
    assert read_secret("credential:hook-key", {"CREDENTIALS_DIRECTORY": str(tmp_path)}).text == SECRET


def test_a_credential_without_systemd_says_how_to_give_it() -> None:
    assert "LoadCredential=hook-key:/path" in refusal("credential:hook-key").allowed


@pytest.mark.parametrize("name", ["../etc/passwd", "a/b", "..", ""])
def test_a_credential_is_a_name_and_no_path(tmp_path: Path, name: str) -> None:
    assert "the name of a credential" in refusal(f"credential:{name}", CREDENTIALS_DIRECTORY=str(tmp_path)).allowed


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602])
def test_a_file_that_others_may_open_is_refused(tmp_path: Path, mode: int) -> None:
    error = refusal(f"file:{put(tmp_path / 'key', mode=mode)}")
    assert "chmod 0600" in error.allowed
    assert f"{mode:04o}" in error.value


@pytest.mark.parametrize("text", ["", "\n\n", f"{SECRET}\n{SECRET}\n"])
def test_a_file_holds_one_line(tmp_path: Path, text: str) -> None:
    assert "one line" in refusal(f"file:{put(tmp_path / 'key', text)}").allowed


def test_a_pipe_in_place_of_a_file_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "a plain file" in refusal(f"file:{tmp_path}/pipe").allowed


@pytest.mark.parametrize("value", ["", "  ", None, 7, ["x"]])
def test_what_is_no_text_is_refused(value: object) -> None:
    assert "a text" in refusal(value).allowed


@pytest.mark.parametrize("value", [f"file:{URL}", f"env:{URL}", f"credential:{URL}", "file:relative", "file://x"])
def test_a_secret_in_the_wrong_place_is_not_shown(value: str) -> None:
    error = refusal(value)
    assert "hunter2" not in str(error)
    assert "T0KEN" not in str(error)


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret(SECRET)
    assert f"{secret} {secret!r} {secret!s} {secret:>20} {[secret]}".count(SECRET) == 0
    assert str(secret) == MASK


def test_no_traceback_shows_it(tmp_path: Path) -> None:
    path = put(tmp_path / "key", f"{SECRET}\n{SECRET}")
    try:
        read_secret(f"file:{path}", {})
    except SecretError as error:
        shown = "".join(traceback.format_exception(error))
    assert SECRET not in shown


@pytest.mark.parametrize(
    "form",
    [SECRET, "hunter2-secret%2B%2Fx", base64.b64encode(SECRET.encode()).decode(), SECRET.encode().hex()],
)
def test_every_form_of_a_secret_is_masked(form: str) -> None:
    assert redact(f"sent {form} away", Secret(SECRET).derived) == f"sent {MASK} away"


def test_every_part_of_a_url_is_masked() -> None:
    shown = redact("hooks.example.org refused T0KENPATH of bob", all_derived([Secret(URL), Secret(SECRET)]))
    assert shown == f"{MASK} refused {MASK} of {MASK}"
