"""The commands of a drill on its target, which may run no zsr. Pure.

Each is an argument list for `Host.run`. A check runs in a process group of its own with a limit of time, and only the
end of its output is kept. The job and its node are in its arguments, so that what a killed drill left is found.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from replicator.models import JobId
from replicator.zfs.dataset_names import device_of

OUTPUT_BYTES = 8192
"""Bytes of a check's output that are kept, from its end."""

_WAIT = """
place=$1 n=0
while [ ! -e "$place" ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
dev=$(readlink -f "$place")
[ -b "$dev" ] || exit 0
"""
PROBE = (
    _WAIT
    + """
echo "device $dev"
for each in blkid partx; do command -v $each >/dev/null || echo "missing $each"; done
size=$(blockdev --getsize64 "$dev") || exit 1
kind() { blkid -p -o value -s TYPE -O "$1" -S "$2" "$dev" 2>/dev/null | sed -n '1s/^/kind /p'; }
echo "part 0 0 $size"
kind 0 "$size"
partx --show --noheadings --output NR,START,SECTORS "$dev" 2>/dev/null | while read -r nr start sectors; do
  echo "part $nr $((start * 512)) $((sectors * 512))"
  kind $((start * 512)) $((sectors * 512))
done
exit 0
"""
)
"""Prints the device at the place $1, and the filesystems that are found in it, without opening it to write."""

_PART = """
dev=$1 offset=$2 length=$3
shift 3
if [ "$offset" -gt 0 ]; then
  loop=$(losetup --read-only --show --find --offset "$offset" --sizelimit "$length" "$dev") || exit 126
  exec 9<"$loop"
  losetup --detach "$loop"
  dev=$loop
fi
"$@" "$dev"
"""
"""Runs a program on a part of a device. The loop device is detached while it is open: it goes with its last user."""

_READ = """
LC_ALL=C nice -n 10 dd if="$1" of=/dev/null bs=1M iflag=skip_bytes,count_bytes,fullblock skip="$2" count="$3" 2>&1
"""

_FOLDER = """
cd / || exit 1
nice -n 10 find "$1" -xdev -type f -exec cat -- {} + >/dev/null || exit 1
find "$1" -xdev -type f | wc -l
"""
"""Reads all files below a folder; prints their number."""

_BOUNDED = """
limit=$1 token=$2 kept=$3
shift 3
exec 4>&1
status=$({ { timeout -k 5 "$limit" sh -c 'exec "$@"' "$token" "$@" </dev/null 2>&1 3>&- 4>&-
  echo $? >&3; } | tail -c "$kept" >&4; } 3>&1)
exit "$status"
"""

_END = """
for pid in $(pgrep -f "$1"); do
  [ "$(ps -o pgid= -p "$pid" | tr -d ' ')" = "$pid" ] && kill -KILL "-$pid"
done
n=0
while pgrep -f "$1" >/dev/null && [ $n -lt 50 ]; do sleep 0.1; n=$((n + 1)); done
exit 0
"""


def probe(dataset: str) -> list[str]:
    """Look what is in a zvol; `drill_checks.disk_of` reads the answer."""
    return ["sh", "-c", PROBE, "zsr", device_of(dataset)]


def check_part(device: str, offset: int, length: int, program: Sequence[str]) -> list[str]:
    """Run a program on a part of a device, read-only."""
    return ["sh", "-c", _PART, "zsr", device, str(offset), str(length), *program]


def read_part(device: str, offset: int, length: int) -> list[str]:
    """Read a part of a device to its end."""
    return ["sh", "-c", _READ, "zsr", device, str(offset), str(length)]


def read_folder(folder: str) -> list[str]:
    """Read all files below a folder."""
    return ["sh", "-c", _FOLDER, "zsr", folder]


def own_check(command: str, environment: Sequence[str]) -> list[str]:
    """Run a guest's own check."""
    return ["env", *environment, "sh", "-c", command]


def bounded(argv: Sequence[str], job: JobId, source: str, limit: float) -> list[str]:
    """Run a check for ``limit`` seconds at most; its exit status then is one of `drill_checks.TIMED_OUT`."""
    return ["sh", "-c", _BOUNDED, "zsr", str(max(1, math.ceil(limit))), _token(job, source), str(OUTPUT_BYTES), *argv]


def end_left(job: JobId, source: str) -> list[str]:
    """End the checks of a job's drills from a node that still run: each with all that is in its process group."""
    pattern = r'^timeout -k 5 [0-9]+ sh -c exec "\$@" ' + re.escape(_token(job, source)) + " "
    return ["sh", "-c", _END, "zsr", pattern]


def private_folder(path: str) -> list[str]:
    """Make the folder below which clones are mounted, for root alone."""
    return ["mkdir", "-p", "-m", "700", path]


def _token(job: JobId, source: str) -> str:
    return f"zsr-drill:{source}:{job}"
