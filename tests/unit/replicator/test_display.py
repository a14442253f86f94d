"""What another node says reaches no terminal, log, mail or page as anything but visible text of a bounded length."""

from __future__ import annotations

import logging
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.common.log_format import TextFormatter
from replicator.display import decoded, displayable, shortened
from replicator.errors import LONGEST_RAW, LONGEST_SENTENCE, ZsrError
from replicator.hosts.local import LocalHost

ESCAPE = "\x1b]0;you are hacked\x07\x1b[2J"


@given(st.text() | st.text(st.characters(categories=["Cc", "Cf", "Zl", "Zp"])))
def test_no_control_character_is_left_but_tab_and_line_feed(text: str) -> None:
    shown = displayable(text)
    assert all(char in "\t\n" or unicodedata.category(char) not in ("Cc", "Zl", "Zp", "Cs") for char in shown)
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    assert displayable(shown) == shown


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_visible_text_stays_as_it_is(text: str) -> None:
    assert displayable(text) == text


@given(st.binary() | st.text().map(str.encode))
def test_bytes_become_displayable_text_the_short_way_and_the_long_one(data: bytes) -> None:
    assert decoded(data) == displayable(data.decode(errors="replace"))


@pytest.mark.parametrize(
    ("text", "shown"), [("a\x1b[2Jb", "a^[[2Jb"), ("\x7f", "^?"), ("\r\n", "^M\n"), ("\x9b", "\\u009b")]
)
def test_a_control_character_is_shown_as_cat_does(text: str, shown: str) -> None:
    assert displayable(text) == shown


def test_a_text_that_was_cut_says_so() -> None:
    assert (shortened("abc", 3), shortened("abcd", 3)) == ("abc", "abc...")


async def test_what_a_command_prints_has_no_orders_for_a_terminal() -> None:
    script = "import sys; print('\\x1b[2Jout'); print('\\x1b[2Jerr', file=sys.stderr)"
    done = await LocalHost("beta").run([sys.executable, "-c", script], limit=20)
    assert (done.stdout, done.stderr) == ("^[[2Jout\n", "^[[2Jerr\n")


def test_an_error_has_none_and_is_cut_in_each_of_its_parts() -> None:
    error = ZsrError(ESCAPE + "x" * 5000, advice=ESCAPE + "y" * 5000, raw=ESCAPE + "z" * 500_000)
    for part, longest in ((error.what, LONGEST_SENTENCE), (error.advice, LONGEST_SENTENCE), (error.raw, LONGEST_RAW)):
        assert "\x1b" not in part
        assert part.startswith("^[]0;you are hacked")
        assert len(part) == longest + len("...")


def test_a_line_of_the_daemons_log_has_none() -> None:
    record = logging.LogRecord("zsr", logging.WARNING, "", 0, "beta says %s", (ESCAPE,), None)
    assert TextFormatter().format(record) == "WARNING zsr: beta says ^[]0;you are hacked^G^[[2J"
