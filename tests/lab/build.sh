#!/bin/bash
# build.sh [build]   make, from Debian and Python packages only, what the lab needs, and print the folder that holds it:
#                      linux          User-Mode Linux kernel with OpenZFS built in
#                      rootfs.sqfs    the nodes' root file system; id_lab, known_hosts: its keys
#                      site.sqfs      zsr's libraries
# build.sh where     print that folder, made or not, and make nothing
# build.sh clean     forget all that was made
# Each part is kept in ~/.cache/zsr/lab (ZLAB) under the hash of what it is made from, so a change of one file rebuilds
# only the parts that read it. A part appears by one rename, so it is always whole. Needs root.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
REPO=$(cd "$HERE/../.." && pwd)
ZLAB=${ZLAB:-${XDG_CACHE_HOME:-$HOME/.cache}/zsr/lab}
SECONDS=0
child=      # the session of the part that is being made

log() { printf 'lab: %4d s  %s\n' "$SECONDS" "$*" >&2; }
key() { cat "$@" | sha256sum | cut -c1-12; }
cd "$HERE"
kernel=kernel-$(key debian.sh kernel.sh kernel.config)
rootfs=rootfs-$(key debian.sh kernel.sh kernel.config rootfs.sh labinit zsr)
site=site-$(key site.sh rootfs.sh debian.sh "$REPO/requirements/runtime.txt" <(awk '/^\[/ { on = /^\[project/ } on' "$REPO/pyproject.toml"))
OUT=$ZLAB/$(printf '%s\n' "$kernel" "$rootfs" "$site" | key)

make_part() {   # make_part NAME SCRIPT ARG...: $ZLAB/NAME, by SCRIPT NEW-FOLDER ARG...
	local name=$1 script=$2 began=$SECONDS rc=0; shift 2
	[ -d "$ZLAB/$name" ] && return 0
	rm -rf --one-file-system "$TMPDIR"; mkdir -p "$TMPDIR/new"
	log "${name%-*}: making it (log: $ZLAB/${name%-*}.log)"
	# with mounts of its own even a build that is killed outright leaves nothing mounted
	setsid ./own_mounts "./$script" "$TMPDIR/new" "$@" >"$ZLAB/${name%-*}.log" 2>&1 & child=$!
	echo "$$ $child" >"$ZLAB/builder"
	wait "$child" || rc=$?
	child=
	if [ $rc -ne 0 ]; then
		[ $rc -eq 9 ] && return 9
		tail -30 "$ZLAB/${name%-*}.log" >&2
		log "${name%-*}: failed"
		exit 1
	fi
	sync -f "$TMPDIR/new" && mv -T "$TMPDIR/new" "$ZLAB/$name" || exit 1
	log "${name%-*}: made in $((SECONDS - began)) s"
}
end() {      # also what a killed build has started ends, and its work folder goes
	[ -z "$child" ] || { kill -TERM -- "-$child" 2>/dev/null || true; wait "$child" 2>/dev/null || true; }
	rm -rf --one-file-system "$TMPDIR"
}
end_orphan() {   # what a build that was killed outright has left running would hold the lock for minutes
	local builder session
	read -r builder session <"$ZLAB/builder" 2>/dev/null || return 0
	grep -qaF build.sh "/proc/$builder/cmdline" 2>/dev/null && return 0
	grep -qaF "$ZLAB/work-$builder/" "/proc/$session/cmdline" 2>/dev/null && kill -TERM -- "-$session"
	return 0
}
make_kernel() { make_part "$kernel" kernel.sh; }
make_rootfs() { make_part "$rootfs" rootfs.sh "$(cat "$ZLAB/$kernel/zfs-version")"; }
make_all() {
	local rc=0
	make_kernel
	make_rootfs || rc=$?
	if [ $rc -eq 9 ]; then
		log "Debian has a newer OpenZFS than the kept kernel: building the kernel again"
		rm -rf "${ZLAB:?}/$kernel"
		make_kernel
		make_rootfs
	fi
	make_part "$site" site.sh "$ZLAB/$rootfs/rootfs.sqfs"
	mkdir -p "$TMPDIR/out"
	ln -s "../$kernel/linux" "../$rootfs/"{rootfs.sqfs,id_lab,id_lab.pub,known_hosts} "../$site/site.sqfs" "$TMPDIR/out/"
	mv -T "$TMPDIR/out" "$OUT"
}

case ${1:-build} in
where)	echo "$OUT" ;;
clean)	rm -rf "$ZLAB" ;;
build)
	if [ ! -d "$OUT" ]; then
		[ "$(id -u)" = 0 ] || { echo "build.sh: needs root" >&2; exit 3; }
		mkdir -p "$ZLAB"
		exec 9>"$ZLAB/lock"
		flock -n 9 || { end_orphan; log "another build is going on: waiting for it"; flock 9; }
		# under the lock, any work folder is a dead build's
		rm -rf --one-file-system "$ZLAB"/work-*
		export TMPDIR=$ZLAB/work-$$
		trap end EXIT
		trap 'exit 130' INT TERM HUP
		[ -d "$OUT" ] || make_all
	fi
	echo "$OUT"
	exit ;;      # and read no further: the file may have been edited meanwhile
*)	sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
