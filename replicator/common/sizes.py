"""Numbers of bytes as people read them, ``1.2 MiB``. Pure."""

from __future__ import annotations


def size(count: int | None) -> str:
    """Return a number of bytes with a unit; ``-`` for unknown."""
    if count is None:
        return "-"
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if round(value, 1) < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
