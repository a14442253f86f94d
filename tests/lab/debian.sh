# Read (`.`) by kernel.sh and rootfs.sh: where Debian comes from. No mirror is named here: it is the one that the host's apt
# uses. The nodes are Debian 13 whatever the host is; of a host with Debian 12 only the mirror's address is used.
# Settings: ZLAB_MIRROR, ZLAB_SECURITY_MIRROR.
SUITE=trixie
BACKPORTS=trixie-backports    # zfs-dkms and zfsutils-linux, of one version, and the kernel's sources
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

mirror() {   # mirror SUFFIX: the first address from which the host's apt has SUITE-or-own-release + SUFFIX, main; or nothing
	local own
	own=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		awk -v a="$SUITE$1" -v b="$own$1" \
			'!found && ($2 == a || $2 == b || $3 == a || $3 == b) && $4 == "main" { print $1; found = 1 }'
}
sources() {
	local main security
	main=${ZLAB_MIRROR:-$(mirror '')}
	security=${ZLAB_SECURITY_MIRROR:-$(mirror -security)}
	if [ -z "$main" ]; then
		echo "The lab needs a Debian mirror. The sources of this machine's apt have none of $SUITE or of the machine's own" \
			"release with 'main'. Add one to /etc/apt/sources.list.d, or set ZLAB_MIRROR to its address." >&2
		return 1
	fi
	echo "deb [signed-by=$KEYRING] $main $SUITE main contrib"
	echo "deb [signed-by=$KEYRING] $main $SUITE-updates main contrib"
	[ -z "$security" ] || echo "deb [signed-by=$KEYRING] $security $SUITE-security main contrib"
	echo "deb [signed-by=$KEYRING] $main $BACKPORTS main contrib"
}
host_needs() {   # host_needs PROGRAM=PACKAGE ...: what is missing is installed
	local pair missing=()
	for pair; do command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}"); done
	[ ${#missing[@]} -eq 0 ] && return 0
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q -o DPkg::Lock::Timeout=400 update
	apt-get -q -y -o DPkg::Lock::Timeout=400 --no-install-recommends install "${missing[@]}"
}
debootstrap_into() {   # debootstrap_into TARGET OPTION...: mmdebstrap from `sources`, with the host's proxy and certificates
	local target=$1; shift
	sources >"$TMPDIR/sources.list"
	apt-config dump | grep -E '^Acquire::(http|https)::.*(Proxy|CaInfo|Verify)' >"$TMPDIR/apt.conf" || true
	nice -n 10 mmdebstrap --mode=root --aptopt="$TMPDIR/apt.conf" --aptopt='APT::Install-Recommends "false"' \
		--aptopt='APT::Sandbox::User "root"' --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Retries "3"' \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
		--setup-hook='mkdir -p "$1/usr/sbin"; printf "#!/bin/sh\nexit 101\n" >"$1/usr/sbin/policy-rc.d"; chmod 755 "$1/usr/sbin/policy-rc.d"' \
		"$@" "$SUITE" "$target" "$TMPDIR/sources.list"
}
