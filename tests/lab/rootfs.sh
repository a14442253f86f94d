#!/bin/bash
# rootfs.sh DIR ZFS_VERSION: make DIR/rootfs.sqfs, the nodes' root file system (Debian 13 with OpenZFS' tools of the kernel's
# version, sshd, Python 3.13), and the keys that go with it. Exit 9: Debian has another version of OpenZFS by now.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/debian.sh"
DIR=$1 ZFS_VERSION=$2

packages() {
	echo zfsutils-linux openssh-server openssh-client python3 udev kmod iproute2 iputils-ping nftables procps util-linux \
		fdisk mount e2fsprogs mbuffer pv zstd lzop sudo ca-certificates tzdata less busybox | tr ' ' ,
}
keys() {
	ssh-keygen -q -t ed25519 -N '' -C lab -f "$DIR/id_lab"
	ssh-keygen -q -t ed25519 -N '' -C labnode -f "$DIR/host_key"
	printf 'node*,10.91.0.* %s\n' "$(cut -d' ' -f1,2 "$DIR/host_key.pub")" >"$DIR/known_hosts"
}
let_in() {   # root of every node and of the lab may enter every node
	local r=$1
	install -d -m700 "$r/root/.ssh"
	install -m600 "$DIR/id_lab" "$r/root/.ssh/id_ed25519"
	install -m644 "$DIR/id_lab.pub" "$r/root/.ssh/id_ed25519.pub"
	install -m644 "$DIR/id_lab.pub" "$r/root/.ssh/authorized_keys"
	rm -f "$r"/etc/ssh/ssh_host_*
	install -m600 "$DIR/host_key" "$r/etc/ssh/ssh_host_ed25519_key"
	install -m644 "$DIR/host_key.pub" "$r/etc/ssh/ssh_host_ed25519_key.pub"
	install -m644 "$DIR/known_hosts" "$r/etc/ssh/ssh_known_hosts"
	install -m644 "$DIR/known_hosts" "$r/root/.ssh/known_hosts"
	# A page fault costs 100 us in a node: malloc has to keep its memory, or a bulk transfer by ssh crawls
	cat >"$r/etc/ssh/sshd_config.d/lab.conf" <<-'END'
		HostKey /etc/ssh/ssh_host_ed25519_key
		PermitRootLogin prohibit-password
		UseDNS no
		UsePAM no
		MaxStartups 100
		MaxSessions 100
		SetEnv MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=1073741824 MALLOC_TOP_PAD_=4194304
	END
}
names() {
	local r=$1 i
	echo '127.0.0.1 localhost' >"$r/etc/hosts"
	echo '10.91.0.1 labhost' >>"$r/etc/hosts"
	for i in $(seq 1 20); do echo "10.91.0.$((10 + i)) node$i"; done >>"$r/etc/hosts"
	echo lab >"$r/etc/hostname"
	rm -f "$r/etc/hostid"      # every node makes its own
}

host_needs mmdebstrap=mmdebstrap mksquashfs=squashfs-tools ssh-keygen=openssh-client
keys
printf 'Package: src:zfs-linux\nPin: version %s\nPin-Priority: 990\n' "$ZFS_VERSION" >"$TMPDIR/zfs.pref"
root=$TMPDIR/rootfs
debootstrap_into "$root" --variant=essential --include="$(packages)" \
	--setup-hook='mkdir -p "$1/etc/apt/preferences.d"; cp "'"$TMPDIR"'/zfs.pref" "$1/etc/apt/preferences.d/zfs"'
dpkg-query --admindir="$root/var/lib/dpkg" -W -f '${Package} ${Version}\n' >"$DIR/rootfs.packages"
if ! grep -qx "zfsutils-linux $ZFS_VERSION" "$DIR/rootfs.packages"; then
	echo "rootfs.sh: the kernel's OpenZFS is $ZFS_VERSION, Debian's tools are $(grep '^zfsutils-linux ' "$DIR/rootfs.packages")" >&2
	exit 9
fi
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/cache/debconf/*-old "$root/usr/sbin/policy-rc.d"
install -m755 "$HERE/labinit" "$root/sbin/labinit"
install -m755 "$HERE/zsr" "$root/usr/local/bin/zsr"
mkdir -p "$root/lab/rw" "$root/lab/site" "$root/lab/checkout" "$root/opt/zsr"
let_in "$root"
names "$root"
nice -n 10 mksquashfs "$root" "$DIR/rootfs.sqfs" -comp zstd -Xcompression-level 9 -b 128K -noappend -no-progress \
	-wildcards -e 'proc/*' 'sys/*' 'dev/*' 'run/*' 'tmp/*'
