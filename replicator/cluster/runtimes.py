"""Runtimes: what starts and stops a guest, as ``guests.ID.runtime`` or its own three commands say. Pure.

A runtime becomes shell commands. ``status`` exits with 0 while the guest runs and with 3 while it does not, as the
commands of init scripts do (LSB); any other status means that it is not known. ``prepare`` lets what runs the guest
read the files that were put in place, which are its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from shlex import quote

from replicator.models import Runtime

ALLOWED = "'systemd:UNIT', 'libvirt:DOMAIN' or 'incus:NAME'"

_STOPPED = 3
_UNKNOWN = 4

_DEFINE = r"""
for file; do
  case $file in *.xml) ;; *) continue ;; esac
  if grep -q '<domain[[:space:]>]' "$file"; then virsh define --file "$file" >/dev/null || exit; fi
done
"""
"""A guest may have other XML too, such as that of a network."""


def runtime_of(text: str) -> Runtime:
    """Return the commands of a runtime; raises ValueError with what is allowed."""
    kind, _, name = text.partition(":")
    if kind not in _KINDS or not name or name.startswith("-") or any(char.isspace() for char in name):
        raise ValueError(ALLOWED)
    return _KINDS[kind](quote(name))


def _systemd(unit: str) -> Runtime:
    """A unit that is neither inactive nor failed may still run something: that counts as running."""
    state = _case(f"systemctl show --property=ActiveState --value -- {unit}", "inactive|failed")
    return Runtime(f"systemctl start -- {unit}", f"systemctl stop -- {unit}", state, "systemctl daemon-reload")


def _libvirt(domain: str) -> Runtime:
    """``virsh shutdown`` returns before the guest is off; a domain that is not defined on a node does not run there."""
    listed = f'[ -n "$(virsh list --all --name | grep -Fx -- {domain})" ] || exit {_STOPPED}'
    known = f"virsh list --all --name >/dev/null || exit {_UNKNOWN}"
    state = _case(f"virsh domstate --domain {domain}", "'shut off'|crashed")
    status = f"{known}; {listed}; {state}"
    return Runtime(f"virsh start --domain {domain}", f"virsh shutdown --domain {domain}", status, _DEFINE)


def _incus(name: str) -> Runtime:
    state = _case(f"incus list --format=csv --columns=s -- ^{name}$", "STOPPED|''")
    return Runtime(f"incus start -- {name}", f"incus stop -- {name}", state)


def _case(command: str, stopped: str) -> str:
    return f"state=$({command}) || exit {_UNKNOWN}; case $state in {stopped}) exit {_STOPPED};; esac"


_KINDS: Mapping[str, Callable[[str], Runtime]] = {"systemd": _systemd, "libvirt": _libvirt, "incus": _incus}
