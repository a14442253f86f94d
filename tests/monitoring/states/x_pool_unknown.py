"""A disk of a guest is on a pool that is no storage of the cluster file."""

from tests.support.states import State

STATE = State(
    key="invented 8",
    title="a disk of a guest is on a new pool that is no storage of the cluster file, or on no ZFS at all",
    produced="a new pool nvme with nvme/vm-100-disk-2; a disk on LVM or NFS",
    outside="zsr looks below the paths of its storages only, and sees no other file systems. Compare the disks in the "
    "guests' own settings (/etc/pve/qemu-server/100.conf) with zsr coverage, by a script each night.",
)
