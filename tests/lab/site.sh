#!/bin/bash
# site.sh DIR ROOTFS: make DIR/site.sqfs, zsr's third-party libraries as requirements/runtime.txt locks them, for the
# nodes' Python 3.13 whatever the host's Python is, compiled, with the dist-info that names zsr's plugins and command.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
REPO=$(cd "$HERE/../.." && pwd)
. "$HERE/debian.sh"
DIR=$1 ROOTFS=$2

python_with_pip() {
	local p
	for p in "${ZLAB_PYTHON:-}" "$REPO/.venv/bin/python" python3; do
		[ -n "$p" ] && "$p" -m pip --version >/dev/null 2>&1 && { echo "$p"; return; }
	done
	host_needs pip3=python3-pip >&2
	echo python3
}
libraries() {
	"$(python_with_pip)" -m pip install --quiet --target "$1" --no-deps --require-hashes --no-compile \
		--implementation cp --python-version 3.13 --only-binary=:all: \
		--platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux_2_28_x86_64 \
		--platform manylinux_2_34_x86_64 --disable-pip-version-check -r "$REPO/requirements/runtime.txt"
}
dist_info() {   # what an installed zsr would tell importlib.metadata
	awk '
		/^\[project\]/ { section = "project"; next }
		/^\[project\.scripts\]/ { section = "entry"; print "[console_scripts]" > entries; next }
		/^\[project\.entry-points\./ { section = "entry"; gsub(/^\[project\.entry-points\.|"|\]$/, ""); print "[" $0 "]" > entries; next }
		/^\[/ { section = ""; next }
		section == "project" && /^version *=/ { gsub(/.*= *"|".*/, ""); version = $0 }
		section == "entry" && /=/ { gsub(/"/, ""); print > entries }
		END { printf "Metadata-Version: 2.1\nName: zsr\nVersion: %s\n", version > metadata }
	' entries="$1/entry_points.txt" metadata="$1/METADATA" "$REPO/pyproject.toml"
	echo lab >"$1/INSTALLER"
}

host_needs mksquashfs=squashfs-tools
root=$TMPDIR/root
unsquashfs -q -n -d "$root" "$ROOTFS"
libraries "$root/lab/site"
mkdir "$root/lab/site/zsr.dist-info"
dist_info "$root/lab/site/zsr.dist-info"
# by the nodes' own Python; a node need not look whether the read-only sources changed
chroot "$root" python3 -m compileall -q -j 1 --invalidation-mode unchecked-hash /lab/site
mksquashfs "$root/lab/site" "$DIR/site.sqfs" -comp zstd -Xcompression-level 9 -b 128K -noappend -no-progress -all-root
