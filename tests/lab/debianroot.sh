#!/bin/bash
# debianroot.sh SUITE FILE: make FILE, a squashfs of a bare Debian SUITE (bookworm, trixie) with its own systemd, for a lab node:
# what its installer and `apt install zfsutils-linux openssh-server` leave, with the tools of OpenZFS from its backports, and
# what syncoid wants, for the table in docs/comparison.md. One key may log in as root: the lab's.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/debian.sh"
SUITE=$1 FILE=$2 BACKPORTS=$1-backports
KEY=$("$HERE/build.sh")/id_lab.pub
PACKAGES=systemd-sysv,dbus,udev,kmod,procps,iproute2,python3,ca-certificates,curl,openssl,openssh-server,zfsutils-linux
PEERS=pv,mbuffer,lzop,libcapture-tiny-perl,libconfig-inifiles-perl

host_needs mmdebstrap=mmdebstrap mksquashfs=squashfs-tools
TMPDIR=$(mktemp -d -p "$(dirname "$FILE")" .work-XXXXXX) && export TMPDIR
trap 'rm -rf --one-file-system "$TMPDIR"' EXIT
root=$TMPDIR/root
printf 'Package: src:zfs-linux\nPin: release n=%s\nPin-Priority: 990\n' "$BACKPORTS" >"$TMPDIR/zfs.pref"
debootstrap_into "$root" --variant=apt --include="$PACKAGES,$PEERS" \
	--setup-hook='mkdir -p "$1/etc/apt/preferences.d"; cp "'"$TMPDIR"'/zfs.pref" "$1/etc/apt/preferences.d/zfs"'
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/usr/sbin/policy-rc.d "$root"/etc/ssh/ssh_host_* \
	"$root"/etc/machine-id "$root"/etc/hostid "$root"/etc/dpkg/dpkg.cfg.d/99mmdebstrap "$root"/etc/apt/apt.conf.d/99mmdebstrap
install -m755 "$HERE/debianinit" "$root/sbin/labinit"
install -D -m600 "$KEY" "$root/root/.ssh/authorized_keys"
chmod 700 "$root/root/.ssh"
# A page fault costs 100 us in a node, and a system call 10: malloc keeps its memory (see rootfs.sh)
keep='MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=1073741824 MALLOC_TOP_PAD_=4194304'
install -d "$root/etc/systemd/system.conf.d"
printf '[Manager]\nDefaultEnvironment=%s\n' "$keep" >"$root/etc/systemd/system.conf.d/lab.conf"
printf 'SetEnv %s\nUseDNS no\n' "$keep" >"$root/etc/ssh/sshd_config.d/lab.conf"
nice -n 10 mksquashfs "$root" "$TMPDIR/new.sqfs" -comp zstd -Xcompression-level 3 -b 128K -noappend -no-progress \
	-wildcards -e 'proc/*' 'sys/*' 'dev/*' 'run/*' 'tmp/*' >&2
mv -T "$TMPDIR/new.sqfs" "$FILE"
