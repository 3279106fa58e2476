#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/check-bare-debian.sh bookworm|trixie [COMMAND...]
#
# Runs the README's two commands, the first of them also for a guest of each other architecture, (or the COMMANDs) like a
# newcomer: on a bare Debian with git, make, sudo and Debian's Rust, as a plain user, in a fresh clone of the last
# commit, with empty caches. Takes an hour on two cores, and 10 GiB in the build folder.
#
# The Debian is a folder, and is removed at the end. Making and entering it needs root, or sudo. From this machine it
# gets only the network's settings: apt's mirror and settings, pip's and cargo's settings, certificates, name servers.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/apt.sh
. "$ROOT/scripts/apt.sh"

suite=${1:-}
case $suite in
    bookworm | trixie) shift ;;
    *) die "usage: scripts/check-bare-debian.sh bookworm|trixie [COMMAND...]" ;;
esac
(($#)) || set -- 'make demo' "${others[@]/#/make demo ARCH=}" 'make test'
folder=$BUILD/bare-debian
root=$folder/root

remove_root() { # its files belong to root
    [[ -e $root ]] || return 0
    get_admin "to remove $root" && ${admin[@]+"${admin[@]}"} rm -rf --one-file-system -- "$root" && return 0
    say "$root stays: remove it as root"
    return 1
}

need_admin() { # before each step: sudo forgets the password after a while, and a step cannot ask for it
    get_admin "to make a Debian in a folder and enter it" ||
        die "only root can make a Debian in a folder and enter it: run this as root or as a user with sudo."
}

# shellcheck disable=SC2016  # $1 is the hooks'
make_root() {
    local mirror_options sources=("deb $mirror $suite main" "deb $mirror $suite-updates main") file
    [[ -z ${mirror_of[$suite-security]:-} ]] || sources+=("deb ${mirror_of[$suite-security]} $suite-security main")
    find_mirror_options
    ${admin[@]+"${admin[@]}"} mmdebstrap --mode=root --variant=minbase \
        --include=git,make,sudo --keyring="$debian_keyring" ${mirror_options[@]+"${mirror_options[@]}"} \
        --customize-hook='chroot "$1" useradd --create-home --shell /bin/bash user' \
        --customize-hook='echo "user ALL=(ALL) NOPASSWD: ALL" >"$1/etc/sudoers.d/user"' \
        "$suite" "$root" "${sources[@]}"
    git -C "$ROOT" bundle create --quiet "$folder/my_rng.bundle" HEAD
    carry "$folder/my_rng.bundle" /home/user/my_rng.bundle
    for file in /etc/resolv.conf /etc/hosts /etc/pip.conf; do carry "$file" "$file"; done
    carry "${CARGO_HOME:-$HOME/.cargo}/config.toml" /home/user/.cargo/config.toml
    # It includes this machine's own certificates, if any.
    carry /etc/ssl/certs/ca-certificates.crt /usr/local/share/ca-certificates/of-the-host.crt
}

carry() { # carry FILE PATH: copies FILE, if there is one, to PATH in the root
    [[ ! -e $1 ]] || ${admin[@]+"${admin[@]}"} install -D -m 644 -- "$1" "$root$2"
}

# run_inside COMMAND: in the root, as its user, in its own process namespace, so that nothing outlives it. A plain
# user cannot send it a signal; instead, its first process ends when this shell closes the pipe.
# shellcheck disable=SC2016,SC2034  # $1 and $2 are the inner shell's; the pipe is only held open
run_inside() {
    local pipe
    exec {pipe}> >(exec ${admin[@]+"${admin[@]}"} unshare --mount --pid --fork --kill-child bash -euc '
        mount --rbind /dev "$1/dev"
        mount --rbind /sys "$1/sys"
        mount -t proc proc "$1/proc"
        exec 3<&0
        cat <&3 >/dev/null &
        chroot "$1" su --login user --command "$2" 3<&- </dev/null &
        wait -n' inside "$root" "$1")
    wait "$!"
}

mirror=${DEBIAN_MIRROR:-}
find_debian
[[ -n $mirror ]] || die "apt has no mirror of Debian on this machine: set DEBIAN_MIRROR= to the URL of one."
need_admin
sub "$ROOT/scripts/packages.sh" install git mmdebstrap debian-archive-keyring
lock_build
need_space "$BUILD" 11000 "building everything in a bare Debian"
[[ -z $(git -C "$ROOT" status --porcelain) ]] || loudly "only what is committed is tested"
at_end() { remove_root; } # called once all processes have ended
mkdir -p -- "$folder"
remove_root || die "the Debian of an earlier run is in the way: remove $root as root."
need_admin
step bare-debian "Making a bare Debian ($suite) in $root" make_root
number=0
for command; do
    number=$((number + 1))
    need_admin
    step "bare-$suite-$number" "Running '$command' in it, as a plain user" run_inside \
        "cd my_rng 2>/dev/null || { git -c advice.detachedHead=false clone --quiet my_rng.bundle my_rng && cd my_rng; }; $command"
    grep -E -e '^PASS' -e '^(FAILED|skipped|parts): ' -- "$LOG/bare-$suite-$number.log" || true
done
