"""Builders of resume tokens, in the form in which ZFS packs them."""

from __future__ import annotations

import struct
import zlib

Value = bool | int | str | list[int]


def packed_pair(name: str | bytes, value: Value, order: str = "<") -> bytes:
    """One pair of a native nvlist."""
    kind, count, data = _encoded(value, order)
    label = (name.encode() if isinstance(name, str) else name) + b"\0"
    body = _padded(label) + _padded(data)
    return struct.pack(f"{order}ihhii", 16 + len(body), len(label), 0, count, kind) + body


def packed_list(*pairs: bytes, order: str = "<") -> bytes:
    """A native nvlist of these pairs."""
    head = bytes([0, order == "<", 0, 0]) + struct.pack(f"{order}iI", 0, 1)
    return head + b"".join(pairs) + bytes(4)


def token_of(packed: bytes, *, order: str = "<", checksum: int | None = None, length: int | None = None) -> str:
    """The token of a packed nvlist; checksum and length are right unless given."""
    data = zlib.compress(packed)
    words: tuple[int, ...] = struct.unpack(f"{order}{len(data) // 4}I", data[: len(data) // 4 * 4])
    right = sum(words) if checksum is None else checksum
    return f"1-{right:x}-{len(packed) if length is None else length:x}-{data.hex()}"


def make_token(
    to_name: str = "tank/a@s", to_guid: int = 7, *, from_guid: int | None = None, raw: bool = False, received: int = 5
) -> str:
    """The token of a stream that was cut off."""
    values: dict[str, Value] = {} if from_guid is None else {"fromguid": from_guid}
    values |= {"object": 1, "offset": 4096, "bytes": received, "toguid": to_guid, "toname": to_name, "compressok": True}
    values |= {"rawok": True} if raw else {}
    return token_of(packed_list(*(packed_pair(name, value) for name, value in values.items())))


def _encoded(value: Value, order: str) -> tuple[int, int, bytes]:
    """The type of a value, its number of elements, and its bytes."""
    if isinstance(value, bool):
        return 1, 0, b""
    if isinstance(value, int):
        return 8, 1, struct.pack(f"{order}Q", value)
    if isinstance(value, str):
        return 9, 1, value.encode() + b"\0"
    return 16, len(value), struct.pack(f"{order}{len(value)}Q", *value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)
