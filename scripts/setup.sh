# shellcheck shell=bash
# Sourced by quickstart, test and dev: what a machine must have, and how it gets it.
# Every step looks first and does nothing where nothing is to be done.

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
die() {
	printf 'error: %s\n' "$1" >&2
	[ $# -lt 2 ] || printf '  hint: %s\n' "$2" >&2
	exit 1
}

need_root() {
	[ "$(id -u)" = 0 ] || die "this needs root: it makes namespaces, mounts and networks" "sudo $0"
}

# The packages among "$@" that are not installed.
missing_packages() {
	for package in "$@"; do
		dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -x installed >/dev/null ||
			printf '%s\n' "$package"
	done
}

# The packages among "$@" that this release of the distribution has.
known_packages() {
	for package in "$@"; do
		# no grep -q: it would end the pipe early, and pipefail take that for a no
		if apt-cache policy "$package" 2>/dev/null | grep 'Candidate: [^(]' >/dev/null; then
			printf '%s\n' "$package"
		fi
	done
}

# install_packages RECORD PACKAGE...: install what is missing, without starting any service; the
# names of what was really added are appended to the file RECORD.
install_packages() {
	local record=$1 missing guard made_guard status
	shift
	mapfile -t missing < <(missing_packages "$@")
	[ ${#missing[@]} -gt 0 ] || return 0
	command -v apt-get >/dev/null ||
		die "no apt-get here" "Debian 12/13 or Ubuntu 24.04; elsewhere install by hand: ${missing[*]}"
	if [ -n "$(apt-cache dumpavail 2>/dev/null | head -c 1)" ] && [ -z "$(known_packages "${missing[@]}")" ]; then
		return 0 # names of other releases
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq || say "apt-get update failed; trying with the lists there are"
	mapfile -t missing < <(known_packages "${missing[@]}")
	[ ${#missing[@]} -gt 0 ] || return 0
	say "installing: ${missing[*]}"
	guard=/usr/sbin/policy-rc.d
	made_guard=
	if [ ! -e $guard ]; then # installed peers must not start servers of their own
		printf '#!/bin/sh\nexit 101\n' >$guard && chmod 755 $guard && made_guard=1
	fi
	status=0
	apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || status=$?
	[ -z "$made_guard" ] || rm -f $guard
	[ $status = 0 ] || die "apt-get could not install: ${missing[*]}"
	mkdir -p "$(dirname "$record")"
	printf '%s\n' "${missing[@]}" >>"$record"
}

# A real interpreter: a version manager's shim costs a tenth of a second at every start.
real_python() {
	for candidate in /usr/bin/python3 /usr/bin/python3.13 /usr/bin/python3.12 /usr/bin/python3.11 /usr/local/bin/python3; do
		if [ -x "$candidate" ] && "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
			printf '%s\n' "$candidate"
			return
		fi
	done
	die "no Python of 3.11 or newer with venv was found" "apt-get install python3-venv"
}

# make_venv TREE LOCK: TREE/.venv holds exactly what LOCK says, and the two programs.
make_venv() {
	local tree=$1 lock=$2 stamp python
	stamp="$tree/.venv/.lock-$(sha256sum "$tree/$lock" | cut -c1-16)"
	if [ ! -e "$stamp" ] || ! "$tree/.venv/bin/python" -c '' 2>/dev/null; then
		say "making .venv from $lock"
		python=$(real_python) || exit 1 # it has said why
		"$python" -m venv --clear "$tree/.venv"
		"$tree/.venv/bin/python" -m pip install --quiet --disable-pip-version-check \
			--require-hashes --only-binary :all: -r "$tree/$lock" ||
			die "pip could not install what $lock names" "is a package index reachable?"
		touch "$stamp"
	fi
	"$tree/scripts/link-programs" "$tree/.venv" "$tree"
}
