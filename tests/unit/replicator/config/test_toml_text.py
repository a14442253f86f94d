"""What keeps a text from being TOML is said in words of those who write it, with the line."""

from __future__ import annotations

import pytest

from replicator.config.toml_text import NotTomlError, parse_toml


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b'node = "\xe4"', "not UTF-8 text (byte 0xe4 in line 1)"),
        (b'a = 1\nb = "\xff"', "not UTF-8 text (byte 0xff in line 2)"),
        ("node = 1".encode("utf-16"), "not UTF-8 text (byte 0xff in line 1)"),
        (b"\xef\xbb\xbfnode = 1", "byte order mark; save it as UTF-8 without one"),
        (b"node = alpha", "no value; text has to stand in quotes (at line 1"),
        (b'node = "alpha\n', "a text has no closing quote (at line 1"),
        (b'node = "alpha', "a text has no closing quote (at end of document)"),
        (b"a = 1\na = 2\n", "this key or section is there already (at line 2"),
        (b"[jobs.100-0]\n[jobs.100-0]\n", "[jobs.100-0] is there twice (at line 2"),
        (b"a = " + b"[" * 3000 + b"]" * 3000, "nested too deeply"),
        (b"[nodes", "(at end of document)"),
    ],
)
def test_what_is_wrong_is_named(data: bytes, sentence: str) -> None:
    with pytest.raises(NotTomlError) as caught:
        parse_toml(data)
    assert sentence in str(caught.value)


def test_a_text_is_read() -> None:
    assert parse_toml("a = 'ä'\r\n".encode()) == {"a": "ä"}
