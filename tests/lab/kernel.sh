#!/bin/bash
# kernel.sh DIR: make DIR/linux, a User-Mode Linux kernel (an ordinary program) with OpenZFS built in, DIR/zfs-version
# and DIR/kernel.config. It is compiled in a throw-away tree, so that the host's compiler does not matter, of Debian 12,
# so that it runs with its libraries and with newer ones. From 6.16 on it runs processes by seccomp instead of ptrace: a program
# starts in a quarter of the time.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)

download() {   # download FOLDER: OpenZFS' module, and the newest sources of Linux that it supports
	local most v
	cd "$1"
	apt-get -q download "zfs-dkms/$BACKPORTS"
	most=$(dpkg-deb --fsys-tarfile zfs-dkms_*.deb | tar -xO --wildcards '*/META' | sed -n 's/^Linux-Maximum: *//p')
	for v in $(apt-cache --names-only search '^linux-source-[0-9]+[.][0-9]+$' | sed 's/ .*//; s/^linux-source-//' | sort -rV); do
		[ "$(printf '%s\n' "$v" "$most" | sort -V | tail -n 1)" = "$most" ] || continue
		[ "$(printf '%s\n' "$v" 6.16 | sort -V | head -n 1)" = 6.16 ] || break
		apt-get -q download "linux-source-$v/$BACKPORTS"
		return
	done
	echo "kernel.sh: $BACKPORTS has no sources of Linux from 6.16 to $most, the newest that its OpenZFS supports" >&2
	return 1
}
unpack() {
	local p
	for p in *.deb; do dpkg-deb -x "$p" x; done
	dpkg-deb -f zfs-dkms_*.deb Version >/out/zfs-version
	dpkg-deb -f linux-source-*.deb Version >/out/linux-version
	mkdir linux
	# the parts of the tree that an ARCH=um build never reads are left out
	tar -C linux --strip-components=1 --wildcards \
		--exclude='*/drivers/gpu/drm/*.[ch]' --exclude='*/drivers/net/*/*/*.[ch]' \
		--exclude='*/drivers/media/*.[ch]' --exclude='*/sound/*.[ch]' \
		--exclude='*/tools/testing/*' --exclude='*/Documentation/*/*' \
		-xf x/usr/src/linux-source-*.tar.*
	mv x/usr/src/zfs-* zfs
	rm -rf x ./*.deb
}
configure_kernel() {
	cd /src/linux
	make x86_64_defconfig
	local o
	for o in $(sed 's/#.*//' /src/kernel.config); do
		case $o in
		-*)	scripts/config -d "${o#-}" ;;
		*=*)	scripts/config --set-val "${o%%=*}" "${o#*=}" ;;
		*)	scripts/config -e "$o" ;;
		esac
	done
	make olddefconfig
	make -j"$(nproc)" prepare
}
add_zfs() {
	cd /src/zfs
	./configure --with-config=kernel --enable-linux-builtin --with-linux=/src/linux --with-linux-obj=/src/linux
	./copy-builtin /src/linux
	# Debian's zfs-dkms leaves out scripts/make_gitrev.sh, so its header is written by hand
	echo "#define ZFS_META_GITREV \"zfs-$(sed -n 's/^Version: *//p' META)-$(sed -n 's/^Release: *//p' META)\"" \
		>/src/linux/include/zfs/zfs_gitrev.h
	cd /src/linux
	scripts/config -e ZFS
	make olddefconfig
	local o
	for o in ZFS=y UML_NET_VECTOR=y NF_TABLES=y NFT_REJECT=y NET_SCH_NETEM=y; do
		grep -q "^CONFIG_$o" .config || { echo "kernel.sh: CONFIG_$o did not stay in .config"; return 1; }
	done
}
inside() {
	export ARCH=um LC_ALL=C    # OpenZFS' configure reaches the kernel's makes only through the environment
	cd /src
	unpack
	( configure_kernel )
	( add_zfs )
	make -C linux -j"$(nproc)" linux
	strip -g -o /out/linux linux/linux
	cp linux/.config /out/kernel.config
}

if [ "$1" = --inside ]; then inside; exit; fi
. "$HERE/debian.sh"
if [ "$1" = --download ]; then download "$2"; exit; fi
SUITE=bookworm
DIR=$1
host_needs mmdebstrap=mmdebstrap
debootstrap_into /dev/null --variant=apt \
	--include=gcc,make,libc6-dev,flex,bison,bc,xz-utils,cpio,bzip2,file \
	--customize-hook='mkdir -p "$1/src" "$1/out"; cp "'"$HERE"'/kernel.sh" "'"$HERE"'/kernel.config" "$1/src/"' \
	--customize-hook='APT_CONFIG=$MMDEBSTRAP_APT_CONFIG "'"$HERE"'/kernel.sh" --download "$1/src"' \
	--customize-hook='chroot "$1" /bin/bash /src/kernel.sh --inside' \
	--customize-hook='cp "$1"/out/* "'"$DIR"'/"'
[ -x "$DIR/linux" ]
