"""Resume tokens, decoded: what ZFS says of a half-received state. Pure.

A token is ``1-CHECKSUM-LENGTH-DATA``, all hex: DATA is a packed nvlist in zlib format, LENGTH its unpacked bytes,
CHECKSUM the first word of the fletcher4 of DATA. The nvlist has its native encoding, in the byte order of the node.
Source: ``get_receive_resume_token_impl()`` and ``nvpair.c`` of OpenZFS 0.8 to 2.3; the tests hold real tokens.

A token comes from the target and is only checksummed, not signed. So whatever two readers could take for different
things is refused: a name that comes twice, a value of the wrong type, a string with a NUL.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from replicator.errors import ZfsError

LONGEST_TOKEN = 100_000
"""Characters of a token: an argument of a command may have 128 KiB. A usual one has a few hundred."""

_LONGEST_LIST = 1 << 20
_FORM = re.compile(r"1-([0-9a-f]{1,16})-([0-9a-f]{1,8})-((?:[0-9a-f]{2})+)", re.ASCII)
_ORDERS: Mapping[int, str] = {0: ">", 1: "<"}
_NATIVE = 0
_LIST_HEADER, _PAIR_HEADER = 12, 16
_BOOLEAN, _UINT64, _STRING = 1, 8, 9

_Value = bool | int | str | None
"""A value of the list; None: it has a type that no key of ours has."""


@dataclass(frozen=True, slots=True)
class ResumeToken:
    """The content of a resume token.

    Attributes:
        text: the token itself.
        to_name, to_guid: the snapshot (``dataset@name``) that is being received, as the sending side knows it.
        from_guid: its base; None for a full stream.
        object, offset: the place from which ZFS will go on.
        received: bytes of the stream that have arrived.
        raw: the stream is raw, and will go on so.
    """

    text: str
    to_name: str
    to_guid: int
    from_guid: int | None
    object: int
    offset: int
    received: int
    raw: bool


def is_same_state(one: str, other: str) -> bool:
    """Return whether two tokens are of one half-received state, which may have grown from one to the other."""
    if one == other:
        return True
    try:
        first, second = decode_token(one), decode_token(other)
    except ZfsError:
        return False
    return (first.to_name, first.to_guid, first.from_guid, first.raw) == (
        second.to_name, second.to_guid, second.from_guid, second.raw,
    )  # fmt: skip


def decode_token(text: str) -> ResumeToken:
    """Return the content of a resume token.

    Raises:
        ZfsError: it is damaged or of an unknown form, or it does not have exactly one name and one GUID.
    """
    values = _read_list(_unpacked(text))
    to_name = values.get("toname")
    if not isinstance(to_name, str) or not all(to_name.partition("@")):
        raise _unreadable("it has no name of a snapshot")
    raw = values.get("rawok", False)
    if not isinstance(raw, bool):
        raise _unreadable("its 'rawok' is no flag")
    return ResumeToken(
        text=text,
        to_name=to_name,
        to_guid=_number(values, "toguid"),
        from_guid=_number(values, "fromguid") if "fromguid" in values else None,
        object=_number(values, "object"),
        offset=_number(values, "offset"),
        received=_number(values, "bytes"),
        raw=raw,
    )


def _number(values: Mapping[str, _Value], key: str) -> int:
    value = values.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _unreadable(f"it has no number '{key}'")
    return value


def _unpacked(text: str) -> bytes:
    """Return the packed nvlist of a token, after checking the checksum."""
    form = _FORM.fullmatch(text) if len(text) <= LONGEST_TOKEN else None
    if form is None:
        raise _unreadable("its form is unknown")
    checksum, length, data = int(form[1], 16), int(form[2], 16), bytes.fromhex(form[3])
    if length > _LONGEST_LIST:
        raise _unreadable("it is too long")
    unpacking = zlib.decompressobj()
    try:
        packed = unpacking.decompress(data, length + 1)
    except zlib.error:
        raise _unreadable("it cannot be unpacked") from None
    if len(packed) != length or not unpacking.eof or unpacking.unused_data:
        raise _unreadable("its length is wrong")
    order = _ORDERS.get(packed[1]) if length >= _LIST_HEADER and packed[0] == _NATIVE else None
    if order is None:
        raise _unreadable("its encoding is unknown")
    if _fletcher4_first(data, order) != checksum:
        raise _unreadable("its checksum is wrong")
    return packed


def _fletcher4_first(data: bytes, order: str) -> int:
    """Return the first word of a fletcher4: the sum of the 32-bit words. ZFS leaves out the last bytes, as we do."""
    count = len(data) // 4
    words: tuple[int, ...] = struct.unpack(f"{order}{count}I", data[: count * 4])
    return sum(words) % (1 << 64)


def _read_list(packed: bytes) -> Mapping[str, _Value]:
    """Read a packed nvlist: by name, each name once."""
    values: dict[str, _Value] = {}
    for name, value in _pairs(packed, _ORDERS[packed[1]]):
        if name in values:
            raise _unreadable(f"it has '{name}' twice")
        values[name] = value
    return values


def _pairs(packed: bytes, order: str) -> Iterator[tuple[str, _Value]]:
    """Yield the pairs of a packed nvlist. A pair has its size, its name and its value, each padded to 8 bytes."""
    at = _LIST_HEADER
    while True:
        size = struct.unpack_from(f"{order}i", packed, at)[0] if at + 4 <= len(packed) else -1
        if size == 0 and at + 4 == len(packed):
            return
        if size < _PAIR_HEADER or size % 8 or at + size > len(packed):
            raise _unreadable("its list is damaged")
        yield _pair(packed[at : at + size], order)
        at += size


def _pair(pair: bytes, order: str) -> tuple[str, _Value]:
    _, name_size, _, count, kind = struct.unpack_from(f"{order}ihhii", pair)
    value = pair[_PAIR_HEADER + _padded(name_size) :]
    if not 0 < name_size <= len(pair) - _PAIR_HEADER:
        raise _unreadable("its list is damaged")
    name = _string(pair[_PAIR_HEADER : _PAIR_HEADER + name_size])
    if kind == _BOOLEAN and count == 0 and not value:
        return name, True
    if kind == _UINT64 and count == 1 and len(value) == struct.calcsize("Q"):
        return name, int(struct.unpack(f"{order}Q", value)[0])
    if kind == _STRING and count == 1 and value.endswith(b"\0"):
        return name, _string(value.rstrip(b"\0") + b"\0")
    return name, None


def _padded(size: int) -> int:
    return (size + 7) // 8 * 8


def _string(data: bytes) -> str:
    """Return a string that ends with the only NUL of the data."""
    if data.find(b"\0") != len(data) - 1:
        raise _unreadable("a string is damaged")
    try:
        return data[:-1].decode()
    except UnicodeDecodeError:
        raise _unreadable("a string is damaged") from None


def _unreadable(why: str) -> ZfsError:
    return ZfsError(f"A resume token cannot be read: {why}.")
