#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tests/scripts.sh [TEST...]: tests of the Makefile and of scripts/, in folders made for them. Nothing is built.
# shellcheck disable=SC2016  # scripts for an inner shell
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
ROOT=$PWD
top=$(mktemp -d)
trap 'rm -rf -- "$top"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- what the tests share ----

# Each test is a function test_NAME, run in a shell of its own with $tmp, an empty folder, as its place.

clean_env() { # clean_env [NAME=VALUE...] COMMAND...: with nothing else of this shell's environment
    env -i PATH="$PATH" HOME="$tmp/home" TMPDIR="$tmp" "$@"
}

lib() { # lib SCRIPT [NAME=VALUE...]: runs SCRIPT as one of scripts/, building in $tmp/build
    local script=$1
    shift
    clean_env MY_RNG_BUILD="$tmp/build" "$@" bash -c '. "$0/scripts/lib.sh"; eval "$1"' "$ROOT" "$script"
}

fails_with() { # fails_with PATTERN COMMAND...: it fails, and says so in one line that has the pattern in it
    local said pattern=$1
    shift
    if said=$("$@" 2>&1 >/dev/null); then
        echo "did not fail: $*"
        return 1
    fi
    said=$(grep -v '^make' <<<"$said")
    [[ $said == "error: "*$pattern* && $said != *$'\n'* ]] || { echo "said: $said" && return 1; }
}

listing() { # listing FOLDER: all in it, with contents
    (cd -- "$1" && find . -printf '%P %y %m %l\n' | sort && find . -type f -print0 | sort -z | xargs -0r sha256sum)
}

unchanged() { # unchanged FOLDER COMMAND...
    local before
    before=$(listing "$1")
    "${@:2}"
    diff <(echo "$before") <(listing "$1")
}

somebodys_folder() { # with names in it that the build uses, too
    mkdir -p -- "$1"/{bin,share,log,.tmp.1.holiday}
    echo precious | tee "$1"/{bin,share,log,.tmp.1.holiday}/photo >"$1/where"
}

not() { # not COMMAND...: bash takes no notice of what ! turns round
    if "$@"; then echo "succeeded: $*" && return 1; fi
}

# ---- the build folder ----

test_somebodys_folder_is_neither_cleaned_nor_built_in() {
    somebodys_folder "$tmp/home"
    unchanged "$tmp/home" fails_with 'nothing in it was removed' clean_env make -s clean BUILD="$tmp/home"
    unchanged "$tmp/home" fails_with 'nothing in it was removed' clean_env make -s distclean BUILD="$tmp/home" XDG_CACHE_HOME="$tmp"
    unchanged "$tmp/home" fails_with 'a new or an empty folder' clean_env make -s packages BUILD="$tmp/home"
    unchanged "$tmp/home" fails_with 'a new or an empty folder' clean_env MY_RNG_BUILD="$tmp/home" scripts/packages.sh list
}

test_clean_leaves_what_is_not_the_builds() {
    lib 'mkdir -p "$BUILD"/bin "$BUILD"/.tmp.4194305.gone; : >"$BUILD/where"; echo mine >"$BUILD/notes"; echo mine >"$BUILD/.tmp.notes"'
    clean_env make -s clean BUILD="$tmp/build" 2>/dev/null
    [[ $(cd -- "$tmp/build" && find . -mindepth 1 | sort | paste -sd ' ') == "./.my_rng-build ./.tmp.notes ./notes" ]]
    # It still is a build folder.
    lib ''
    rm -- "$tmp/build/notes" "$tmp/build/.tmp.notes"
    clean_env make -s clean BUILD="$tmp/build"
    [[ ! -e $tmp/build ]]
    # Nothing to do, which makes nothing.
    clean_env make -s clean BUILD="$tmp/build"
    [[ ! -e $tmp/build ]]
}

test_clean_knows_all_that_is_built() {
    local built name
    built=" $(lib 'echo "${built[*]}"') "
    while read -r name; do
        [[ $built == *" $name "* ]] || { echo "clean does not know $name" && return 1; }
    done < <(grep -ohP '\$BUILD/\K[a-z][a-z.-]*' scripts/*.sh)
}

test_distclean_leaves_what_is_not_the_caches() {
    mkdir -p -- "$tmp/home/.cache/my_rng"/{tools,mine}
    : >"$tmp/home/.cache/my_rng/lock-qemu"
    # In a checkout of its own, for the target folder of this one goes, too.
    mkdir -p -- "$tmp/checkout"
    cp -R -- Makefile scripts "$tmp/checkout/"
    mkdir -- "$tmp/checkout/target"
    clean_env make -s -C "$tmp/checkout" distclean 2>/dev/null
    [[ $(ls -A -- "$tmp/home/.cache/my_rng") == $'lock\nlock-qemu\nmine' && -d $tmp/checkout/target ]]
    rmdir -- "$tmp/home/.cache/my_rng/mine"
    : >"$tmp/checkout/target/CACHEDIR.TAG"
    clean_env make -s -C "$tmp/checkout" distclean
    [[ ! -e $tmp/home/.cache/my_rng && ! -e $tmp/checkout/target && -d $tmp/home/.cache ]]
}

test_general_names_count_on_the_command_line_only() {
    local name said
    printf 'probe:\n\t@env | grep ^MY_RNG_; true\n' >"$tmp/probe.mk"
    for name in BUILD CMD DESTDIR FORCE FRESH JOBS LIMIT PACKAGES PREFIX PUBLISH QUICK ROUNDS SECONDS; do
        said=$(clean_env "$name=7" make -s -f Makefile -f "$tmp/probe.mk" probe)
        [[ -z $said ]] || { echo "$name of the environment counts: $said" && return 1; }
        for said in "$(clean_env make -s -f Makefile -f "$tmp/probe.mk" probe "$name=7")" \
            "$(clean_env "MY_RNG_$name=7" "$name=8" make -s -f Makefile -f "$tmp/probe.mk" probe)"; do
            [[ $said == "MY_RNG_$name=7" ]] || { echo "$name: $said" && return 1; }
        done
    done
    said=$(clean_env make -s -f Makefile -f "$tmp/probe.mk" probe CMD='echo "$HOME" $(id) #1')
    [[ $said == 'MY_RNG_CMD=echo "$HOME" $(id) #1' ]]
    not grep -nE '\$\{?(CMD|DESTDIR|FORCE|FRESH|PACKAGES|PREFIX|PUBLISH|QUICK|ROUNDS)\b' scripts/*.sh
}

# ---- locks ----

# A script that holds the lock of $tmp/build, says so, does what it is told, and ends.
holder='lock_build; echo held; read -r command; eval "$command"'

start_holder() { # start_holder: with its input on fd 7 and its output on fd 8
    mkfifo -- "$tmp/in" "$tmp/out"
    lib "$holder" <"$tmp/in" >"$tmp/out" 2>"$tmp/holder.log" &
    exec 7>"$tmp/in" 8<"$tmp/out"
    read -r line <&8
    [[ $line == held ]]
}

start_waiter() { # start_waiter SCRIPT: returns when it says that it waits; its output is on fd 9
    coproc waiter { lib "$1" 2>&1; }
    exec 9<&"${waiter[0]}" 6>&"${waiter[1]}"
    read -r line <&9
    [[ $line == *"waiting for it to end" ]] || { echo "the waiter said: $line" && return 1; }
}

test_clean_refuses_while_a_build_is_at_work() {
    start_holder
    unchanged "$tmp/build" fails_with 'another make is at work' clean_env make -s clean BUILD="$tmp/build"
    fails_with 'another make is using' clean_env make -s distclean BUILD="$tmp/other"
    echo true >&7
    wait "$!"
}

test_a_lock_whose_file_was_removed_locks_nothing() {
    start_holder
    start_waiter "$holder"
    # As make clean does, while the other waits.
    echo 'rm -rf "$BUILD"' >&7
    read -r line <&9
    [[ $line == held ]]
    # It has the lock of the file that is there now.
    not flock -n "$tmp/build/.my_rng-build" true
    echo 'test -d "$LOG" && echo whole' >&6
    read -r line <&9
    [[ $line == whole ]]
}

test_a_lock_that_cannot_be_had_is_an_error() {
    mkdir -p -- "$tmp/bin"
    # Fails at once; or is taken, and then fails.
    printf '#!/bin/sh\nexit 71\n' >"$tmp/bin/flock"
    chmod +x -- "$tmp/bin/flock"
    fails_with 'could not be locked' lib 'lock_build; echo built' PATH="$tmp/bin:$PATH"
    printf '#!/bin/sh\n[ "$1" = -n ] && exit 1\nexit 71\n' >"$tmp/bin/flock"
    lib 'lock_build; echo built' PATH="$tmp/bin:$PATH" >"$tmp/said" 2>&1 && return 1
    grep -q 'could not be locked' -- "$tmp/said"
    not grep -q built -- "$tmp/said"
}

test_a_script_has_the_locks_of_the_one_that_started_it() {
    lib 'lock_build; bash -c ". $ROOT/scripts/lib.sh; lock_build; echo inner"; exec flock -n "$MARKER" echo twice' \
        >"$tmp/said" && return 1
    [[ $(<"$tmp/said") == inner ]]
    # In another folder it has none.
    lib 'lock_build; MY_RNG_BUILD=$BUILD.2 bash -c ". $ROOT/scripts/lib.sh; lock_build"; flock -n "$MARKER.2" true || true
        MY_RNG_BUILD=$BUILD.2 bash -c ". $ROOT/scripts/lib.sh; lock_build; flock -n \$MARKER true || echo locked"' >"$tmp/said"
    [[ $(<"$tmp/said") == locked ]]
}

test_what_a_script_becomes_holds_no_lock() {
    start_holder
    echo 'lock_cache debian; become sh -c "echo became; exec cat"' >&7
    read -r line <&8
    [[ $line == became ]]
    flock -n "$tmp/build/.my_rng-build" true
    flock -n "$tmp/home/.cache/my_rng/lock" true
    flock -n "$tmp/home/.cache/my_rng/lock-debian" true
    exec 7>&-
    wait "$!"
}

test_the_cache_is_locked_for_each_kind_of_thing() {
    lib 'lock_cache debian; flock -n "$CACHE/lock-debian" true || echo one
        flock -n "$CACHE/lock" true || echo two; flock -n -s "$CACHE/lock" echo three' >"$tmp/said"
    [[ $(<"$tmp/said") == $'one\ntwo\nthree' ]]
}

test_a_daemon_of_a_step_keeps_no_lock() {
    lib 'lock_build; lock_cache tools
        daemon() { setsid sleep 1000000 & echo "$!" >"$BUILD/daemon"; }
        step daemon "Starting a daemon" daemon
        flock -n "$MARKER" true || echo locked' >"$tmp/said"
    trap 'kill "$(<"$tmp/build/daemon")"' EXIT
    kill -0 "$(<"$tmp/build/daemon")"
    [[ $(<"$tmp/said") == locked ]]
    flock -n "$tmp/build/.my_rng-build" true
    flock -n "$tmp/home/.cache/my_rng/lock" true
    flock -n "$tmp/home/.cache/my_rng/lock-tools" true
}

test_a_script_keeps_the_lock_that_it_was_given() {
    # The end of the inner script takes no lock from the outer.
    lib 'lock_build; bash -c ". $ROOT/scripts/lib.sh; lock_build"; flock -n "$MARKER" true || echo locked' >"$tmp/said"
    [[ $(<"$tmp/said") == locked ]]
    lib 'lock_build; (bash -c ". $ROOT/scripts/lib.sh; lock_build; become true"); flock -n "$MARKER" true || echo locked' >"$tmp/said"
    [[ $(<"$tmp/said") == locked ]]
}

test_becoming_leaves_what_the_top_shows() {
    lib 'mkdir -p "$NOW"; : >"$NOW/1"; bash -c ". $ROOT/scripts/lib.sh; become true"; ls "$NOW"' >"$tmp/said"
    [[ $(<"$tmp/said") == 1 ]]
    lib 'mkdir -p "$NOW"; : >"$NOW/1"; become ls -A "$LOG"' >"$tmp/said"
    [[ -z $(<"$tmp/said") ]]
}

test_every_front_door_locks() {
    local script
    for script in build test bench matrix fuzz check-long check-kernels check-new-device check-debug-kernel check-libvirt \
        check-bare-debian debian-vm test-qemu; do
        grep -q '^lock_build$' "scripts/$script.sh" || { echo "$script.sh takes no lock" && return 1; }
    done
    # Nobody else calls flock, so its status is looked at in one place.
    not grep -n --exclude=lib.sh '\bflock -\|\bflock "' scripts/*.sh
}

# ---- files and steps ----

test_sweep_removes_only_what_killed_scripts_left() {
    lib 'cd "$BUILD"; mkdir .tmp.4194305.aB3 .tmp.$$.aB3 .tmp.notes .tmp.12x .now.4194305 .now.$$ .tmp.4194305.a.b
        sweep "$BUILD"; rm -rf .now.$$ .tmp.$$.aB3 || exit; ls -A' >"$tmp/said"
    [[ $(paste -sd ' ' "$tmp/said") == ".my_rng-build .tmp.12x .tmp.4194305.a.b .tmp.notes log stamp" ]]
}

test_only_what_the_scripts_made_is_swept() {
    mkdir -p -- "$tmp/home/.cache/my_rng/tmp"/{tools,qemu}/.tmp.4194305.aB3 "$tmp/build"/{mine,bin,stamp}/.tmp.4194305.aB3
    : >"$tmp/build/.my_rng-build"
    : >"$tmp/build/stamp/.tmp.4194305"
    lib 'lock_build; lock_cache tools'
    [[ $(cd -- "$tmp" && find . -name '.tmp.*' | sort | paste -sd ' ') == \
        "./build/mine/.tmp.4194305.aB3 ./home/.cache/my_rng/tmp/qemu/.tmp.4194305.aB3" ]]
}

test_what_was_cut_off_in_put_is_swept() {
    # Killed, so it cannot remove anything itself.
    lib 'put "$STAMPS/a" sh -c "echo half; kill -KILL \$PPID"' && return 1
    [[ -n $(ls -A -- "$tmp/build/stamp") ]]
    lib 'lock_build; ls -A "$STAMPS"' >"$tmp/said"
    [[ -z $(<"$tmp/said") ]]
}

test_put_writes_into_no_folder_that_has_the_name() {
    lib 'mkdir "$BUILD/a"; put "$BUILD/a" <<<text' 2>"$tmp/said" && return 1
    grep -q 'a could not be made' -- "$tmp/said"
    [[ -z $(ls -A -- "$tmp/build/a") ]]
}

test_put_installs_all_or_nothing() {
    lib 'put "$BUILD/a" <<<old; put "$BUILD/a" sh -c "echo half; exit 1" || true' 2>"$tmp/said" && return 1
    [[ $(<"$tmp/build/a") == old && $(cd -- "$tmp/build" && echo a*) == a ]]
    grep -q 'a could not be made with sh' -- "$tmp/said"
    not grep -n '| *put ' scripts/*.sh
}

test_a_step_sees_the_variables_of_its_script() {
    lib 'name=1 what=2 start=3 log=4 pid=5; see() { [[ $name$what$start$log$pid == 12345 ]]; }; step looking "Looking" see'
}

test_a_step_that_never_ends_is_ended() {
    lib 'step forever "Waiting" sleep 1000000' MY_RNG_LIMIT=1 2>"$tmp/said" && return 1
    grep -q 'It took longer than 1 s and was ended' -- "$tmp/said"
    lib 'may_take=1000; step soon "Waiting" true' MY_RNG_LIMIT=0
}

# ---- sources ----

new_key() { # new_key NAME: makes one, and the file of its public half, $tmp/NAME.asc
    clean_env gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-generate-key "$1@localhost" ed25519 sign never
    clean_env gpg --batch --quiet --armor --export "$1@localhost" >"$tmp/$1.asc"
}

sign() { # sign KEY FILE SIGNATURE
    clean_env gpg --batch --quiet --yes --local-user "$1@localhost" --detach-sign --output "$3" "$2"
}

release() { # release qemu|linux NAME FILE...: a tarball of a tree with the files, NAME.tar
    local file tree=$tmp/tree/$2
    for file in "${@:3}"; do
        mkdir -p -- "$(dirname -- "$tree/$file")"
        : >"$tree/$file"
    done
    # shellcheck disable=SC2046,SC2183  # three words
    case $1 in
        qemu) echo "${2#*-}" >"$tree/VERSION" ;;
        linux) printf 'VERSION = %s\nPATCHLEVEL = %s\nSUBLEVEL = %s\n' $(grep -o '[0-9]*' <<<"$2") >"$tree/Makefile" ;;
    esac
    tar -C "$tmp/tree" -cf "$tmp/site/$2.tar" "$2"
    xz --keep "$tmp/site/$2.tar"
}

fetch() { # fetch WHAT SERIES: from a site of ours only
    rm -rf -- "$tmp/home/.cache"
    fetch_cached "$@"
}

fetch_cached() { # fetch_cached WHAT SERIES: with the cache as it is
    rm -rf -- "$tmp/build"
    clean_env PATH="$tmp/bin:$PATH" MY_RNG_BUILD="$tmp/build" MY_RNG_UPSTREAM="file://$tmp/site" MY_RNG_KEYS="$tmp/keys" \
        scripts/fetch.sh "$1" "$2" "$tmp/build/source" 2>&1
}

test_a_release_is_taken_only_if_its_developers_signed_it() {
    local what series name file signed signature cached wrong
    if ! command -v gpg >/dev/null || ! command -v gpg-agent >/dev/null; then
        echo "SKIPPED: there is no gpg to sign with"
        return
    fi
    mkdir -p -- "$tmp/bin" "$tmp/site" "$tmp/keys"
    mkdir -m 700 -- "$tmp/home" "$tmp/home/.gnupg"
    # There is no other source, and room for what is so small.
    printf '#!/bin/sh\nexit 1\n' >"$tmp/bin/apt-get"
    printf '#!/bin/sh\necho 9999\n' >"$tmp/bin/df"
    chmod +x -- "$tmp"/bin/*
    trap 'clean_env gpgconf --kill all' EXIT
    new_key developer
    new_key stranger
    release qemu qemu-99.9.0 configure hw/misc/meson.build include/qemu/osdep.h
    release linux "linux-$(sed -n 's/^ *7\.3) release=\([0-9.]*\) ;;/\1/p' scripts/fetch.sh)" Kconfig init/main.c include/linux/pci.h
    for what in qemu linux; do
        for file in "$tmp/site/$what"-*.tar.xz; do name=${file##*/}; done
        case $what in
            qemu) series=99.9 signed=$file signature=$file.sig ;;
            linux) series=7.3 signed=${file%.xz} signature=${file%.xz}.sign ;;
        esac
        cp -- "$tmp/developer.asc" "$tmp/keys/$what.asc"
        sign developer "$signed" "$signature"
        fetch "$what" "$series"
        [[ $(<"$tmp/build/source.source") == *"id=upstream:"* && -e $tmp/build/source ]]
        # From the cache.
        rm -rf -- "$tmp/build"
        fetch_cached "$what" "$series"
        [[ -e $tmp/build/source ]]
        # What somebody else put there and signed is not used, and the release is got anew.
        cached=$tmp/home/.cache/my_rng/upstream/$name
        cp -- "$signature" "$tmp/right"
        sign stranger "$signed" "$cached/${signature##*/}"
        (cd -- "$cached" && sha256sum "$name" "${signature##*/}" >SHA256SUMS)
        fetch_cached "$what" "$series" >"$tmp/said"
        grep -q "What the cache had in .* developers have signed: it is not used" -- "$tmp/said"
        [[ -e $tmp/build/source ]]
        cmp -- "$tmp/right" "$cached/${signature##*/}"
        for wrong in tampered stranger nonsense unsigned; do
            case $wrong in
                tampered) # whole, but another
                    cp -- "$file" "$tmp/whole"
                    echo backdoor >"$tmp/backdoor"
                    tar -C "$tmp" -rf "${file%.xz}" backdoor
                    xz --force --keep "${file%.xz}"
                    ;;
                stranger) cp -- "$tmp/whole" "$file" && xz --decompress --force --keep "$file" && sign stranger "$signed" "$signature" ;;
                nonsense) echo nonsense >"$signature" ;;
                unsigned) rm -- "$signature" ;;
            esac
            not fetch "$what" "$series" >"$tmp/said"
            [[ ! -e $tmp/build/source ]]
            case $wrong in
                unsigned) grep -q "from its project's site" -- "$tmp/said" ;;
                *) grep -q 'developers have signed: it is not used' -- "$tmp/said" ;;
            esac
            grep -q "^error: no source of .* is to be had" -- "$tmp/said"
            [[ -z $(find "$tmp/home/.cache" -name "$name*") ]]
        done
    done
}

test_our_keys_are_those_that_are_published() {
    local what keys found
    if ! command -v gpg >/dev/null; then
        echo "SKIPPED: there is no gpg to read them with"
        return
    fi
    mkdir -m 700 -- "$tmp/home"
    for what in qemu linux; do
        case $what in
            qemu) keys=CEACC9E15534EBABB82D3FA03353C9CEF108B584 ;;
            linux)
                keys="647F28654894E3BD457199BE38DBBDC86092693E ABAF11C65A2970B130ABE3C479BE3E4300411886 E27E5D8A3403A2EF66873BBCDEA66FF797772CDC" ;;
        esac
        found=$(clean_env gpg --batch --with-colons --show-keys "scripts/keys/$what.asc" 2>/dev/null |
            awk -F: '$1 == "pub" { primary = 1 } $1 == "fpr" && primary { print $10; primary = 0 }')
        diff <(tr -s ' ' '\n' <<<"$keys" | sort) <(sort <<<"$found")
    done
}

# ---- packages, installing ----

test_packages_can_be_told_only() {
    local name
    mkdir -p -- "$tmp/bin"
    for name in apt-get sudo; do
        printf '#!/bin/sh\ntouch "%s"\n' "$tmp/called" >"$tmp/bin/$name"
        chmod +x -- "$tmp/bin/$name"
    done
    fails_with 'apt-get install -y --no-install-recommends no-such-package' \
        lib 'exec "$ROOT/scripts/packages.sh" install no-such-package' PATH="$tmp/bin:$PATH" MY_RNG_PACKAGES=tell
    fails_with 'neither install nor tell' lib 'exec "$ROOT/scripts/packages.sh" list' MY_RNG_PACKAGES=no
    [[ ! -e $tmp/called ]]
}

asks_for() { # asks_for PACKAGES PACKAGE=VERSION...: where no Rust is installed, and apt has these packages
    local wanted=$1 package
    shift
    rm -rf -- "$tmp/has"
    mkdir -- "$tmp/has"
    for package; do echo "  Candidate: ${package#*=}" >"$tmp/has/${package%%=*}"; done
    fails_with "$wanted" lib 'exec "$ROOT/scripts/toolchain.sh"' PATH="$tmp/bin" MY_RNG_PACKAGES=tell
}

test_the_rust_of_the_distribution_is_found() {
    mkdir -- "$tmp/bin"
    ln -s -- /usr/bin/* "$tmp/bin/"
    rm -f -- "$tmp"/bin/{rust*,cargo*,clippy*,apt-cache,apt-get,dpkg-query}
    printf '#!/bin/sh\ncat "%s/has/$2"\n' "$tmp" >"$tmp/bin/apt-cache"
    # As apt-get --simulate --no-remove.
    printf '#!/bin/sh\n[ ! -e "%s/in_the_way" ]\n' "$tmp" >"$tmp/bin/apt-get"
    printf '#!/bin/sh\n' >"$tmp/bin/dpkg-query"
    chmod +x -- "$tmp"/bin/{apt-cache,apt-get,dpkg-query}
    # Debian 13, Debian 12, Ubuntu 24.04.
    asks_for ' rustc cargo rust-src rustfmt rust-clippy' rustc=1.85.1+dfsg1-1 rustup=1.27.1-3+b1
    asks_for ' rustc-web cargo-web rust-web-src rustfmt-web rust-web-clippy' rustc=1.63.0+dfsg1-2 rustc-web=1.96.0+dfsg1-1
    asks_for ' rustup' rustc=1.75.0+dfsg0ubuntu1-0ubuntu7 rustup=1.26.0-4
    # An older release, and a machine whose old rustc apt would have to remove.
    asks_for 'sh.rustup.rs' rustc=1.63.0+dfsg1-2
    touch -- "$tmp/in_the_way"
    asks_for 'sh.rustup.rs' rustc=1.75.0+dfsg0ubuntu1-0ubuntu7 rustup=1.26.0-4
}

test_a_rust_without_all_its_programs_is_not_complete() {
    local program
    mkdir -p -- "$tmp/bin" "$tmp/usr/lib/rustlib/src/rust/library/core/src"
    ln -s -- /usr/bin/* "$tmp/bin/"
    rm -f -- "$tmp"/bin/{rust*,cargo*,clippy*,apt-cache}
    : >"$tmp/usr/lib/rustlib/src/rust/library/core/src/lib.rs"
    printf '#!/bin/sh\ncase $1 in --version) echo rustc 1.90.0 ;; *) echo "%s/usr" ;; esac\n' "$tmp" >"$tmp/bin/rustc"
    printf '#!/bin/sh\n' | tee "$tmp"/bin/{cargo,rustfmt,cargo-clippy,apt-cache} >/dev/null
    chmod +x -- "$tmp"/bin/{rustc,cargo,rustfmt,cargo-clippy,apt-cache}
    lib 'exec "$ROOT/scripts/toolchain.sh"' PATH="$tmp/bin"
    for program in cargo rustfmt cargo-clippy; do
        mv -- "$tmp/bin/$program" "$tmp/$program"
        fails_with 'not complete' lib 'exec "$ROOT/scripts/toolchain.sh"' PATH="$tmp/bin" MY_RNG_PACKAGES=tell
        mv -- "$tmp/$program" "$tmp/bin/$program"
    done
    not grep -nE '^[^#]*command -v [^ |&;)]+ [^|&;)>2]' scripts/*.sh
}

built() { # built VERSION: as if all were built
    local file
    for file in qemu/prefix/bin/qemu-system-x86_64 qemu/prefix/share/qemu/bios-256k.bin bin/my-rng share/man/man1/my-rng.1 \
        linux/out/arch/x86/boot/bzImage module/my_rng.ko initramfs.cpio; do
        mkdir -p -- "$(dirname -- "$tmp/build/$file")"
        echo "$1" >"$tmp/build/$file"
    done
    chmod +x -- "$tmp"/build/{qemu/prefix/bin/qemu-system-x86_64,bin/my-rng}
}

test_install_copies_and_uninstall_takes_off_just_that() {
    local root=$tmp/root file before installed
    install() { clean_env make -s "${1:-install}" BUILD="$tmp/build" DESTDIR="$root" PREFIX=/usr 2>&1; }
    mkdir -p -- "$root/usr/bin" "$root/usr/lib/udev"
    echo mine >"$root/usr/bin/mine"
    before=$(listing "$root")
    fails_with 'run make first, not as root' clean_env make -s install BUILD="$tmp/build" DESTDIR="$root" PREFIX=/usr
    fails_with 'nothing is installed' clean_env make -s uninstall BUILD="$tmp/build" DESTDIR="$root" PREFIX=/usr
    [[ $(listing "$root") == "$before" && ! -e $tmp/build ]]
    built 1
    unchanged "$tmp/build" install
    for file in bin/qemu-system-x86_64 bin/my-rng share/qemu/bios-256k.bin share/man/man1/my-rng.1 include/my_rng.h \
        lib/udev/rules.d/60-my_rng.rules lib/sysusers.d/my_rng.conf lib/my_rng/{bzImage,my_rng.ko,initramfs.cpio}; do
        [[ -f $root/usr/$file ]] || { echo "$file is missing" && return 1; }
    done
    [[ -x $root/usr/bin/my-rng && ! -x $root/usr/include/my_rng.h ]]
    # A newer one takes the place of the older, and leaves nothing of it.
    installed=$(cd -- "$root" && find . | sort)
    built 2
    mv -- "$tmp/build/qemu/prefix/share/qemu/bios-256k.bin" "$tmp/build/qemu/prefix/share/qemu/bios-512k.bin"
    install
    [[ $(<"$root/usr/bin/my-rng") == 2 && $(cd -- "$root" && find . | sort) == "${installed/256k/512k}" ]]
    install uninstall
    diff <(echo "$before") <(listing "$root")

    # Files of the user's are neither written over nor removed.
    echo mine >"$root/usr/bin/my-rng"
    unchanged "$root" fails_with 'nothing is installed: move it away' \
        clean_env make -s install BUILD="$tmp/build" DESTDIR="$root" PREFIX=/usr
    rm -- "$root/usr/bin/my-rng"
    install
    echo mine >"$root/usr/lib/my_rng/bzImage"
    echo mine >"$root/usr/share/qemu/mine"
    install uninstall
    [[ $(cd -- "$root/usr" && find . -type f | sort | paste -sd ' ') == "./bin/mine ./lib/my_rng/bzImage ./share/qemu/mine" ]]
}

install_fails_with() { # install_fails_with PATTERN [VARIABLE=VALUE...]: and changes nothing
    unchanged "$tmp/root" fails_with "$1" clean_env make -s install BUILD="$tmp/build" DESTDIR="$tmp/root" PREFIX=/usr "${@:2}"
}

test_install_writes_over_nothing_of_the_users() {
    local bin=$tmp/root/usr/bin
    built 1
    mkdir -p -- "$bin/my-rng"
    install_fails_with 'my-rng is not from an earlier make install'
    rmdir -- "$bin/my-rng"
    ln -s -- nowhere "$bin/my-rng"
    install_fails_with 'my-rng is not from an earlier make install'
    rm -- "$bin/my-rng"
    if ((EUID)); then
        echo mine >"$bin/my-rng"
        chmod 000 -- "$bin/my-rng"
        fails_with 'my-rng is not from' clean_env make -s install BUILD="$tmp/build" DESTDIR="$tmp/root" PREFIX=/usr
        rm -f -- "$bin/my-rng"
    fi
    # In the place of a folder.
    echo mine >"$tmp/root/usr/share"
    install_fails_with 'share is no folder'
    rm -- "$tmp/root/usr/share"
    ln -s -- nowhere "$tmp/root/usr/lib"
    install_fails_with 'lib is no folder'
    rm -- "$tmp/root/usr/lib"
    # A link that leads to what was installed is no file of ours, either.
    clean_env make -s install BUILD="$tmp/build" DESTDIR="$tmp/root" PREFIX=/usr
    mv -- "$bin/my-rng" "$tmp/kept"
    ln -s -- "$tmp/kept" "$bin/my-rng"
    install_fails_with 'my-rng is not from an earlier make install'
    clean_env make -s uninstall DESTDIR="$tmp/root" PREFIX=/usr 2>/dev/null
    [[ $(cd -- "$tmp/root" && find . -type f -o -type l) == ./usr/bin/my-rng && -f $tmp/kept ]]
}

test_uninstall_removes_the_folders_that_install_made() {
    built 1
    mkdir -- "$tmp/root"
    clean_env make -s install BUILD="$tmp/build" PREFIX="$tmp/root/opt/my/rng/" 2>/dev/null
    # By what was killed in the middle.
    mkdir -- "$tmp/root/opt/my/rng/lib/my_rng/.tmp.4194305.aB3"
    clean_env make -s install BUILD="$tmp/build" PREFIX="$tmp/root/opt/my/rng" 2>/dev/null
    clean_env make -s uninstall PREFIX="$tmp/root/opt/my/rng" 2>/dev/null
    [[ -d $tmp/root && -z $(ls -A -- "$tmp/root") ]]
    # One with something else in it stays.
    clean_env make -s install BUILD="$tmp/build" DESTDIR="$tmp/root/a/b" PREFIX=/ 2>/dev/null
    echo mine >"$tmp/root/a/mine"
    clean_env make -s uninstall DESTDIR="$tmp/root/a/b" PREFIX=/ 2>/dev/null
    [[ $(cd -- "$tmp/root" && find . | sort | paste -sd ' ') == ". ./a ./a/mine" ]]
    fails_with 'PREFIX=/ is where the system' clean_env make -s install BUILD="$tmp/build" PREFIX=/
}

test_install_refuses_while_a_build_is_at_work() {
    start_holder
    built 1
    mkdir -- "$tmp/root"
    install_fails_with 'another make is at work'
    echo true >&7
    wait "$!"
    # Others that only read are not in the way.
    exec 5<"$tmp/build/.my_rng-build"
    flock -s 5
    clean_env make -s install BUILD="$tmp/build" DESTDIR="$tmp/root" PREFIX=/usr
}

# ---- measuring ----

test_bench_leaves_the_checkout_as_it_is() {
    local name checkout=$tmp/my_rng
    mkdir -p -- "$checkout"/{rust-dev/src,qemu-8.2.9-overlay/hw/misc/qemu-pci} "$tmp/bin" "$tmp/build/bin" "$tmp/build/guest/x86_64-unknown-linux-gnu/release"
    cp -R -- Makefile scripts rust-toolchain.toml "$checkout/"
    echo '// as the user edits it' >"$checkout/rust-dev/src/lib.rs"
    : >"$checkout/qemu-8.2.9-overlay/hw/misc/qemu-pci/cargo-staticlib.py"
    git -C "$checkout" init --quiet
    # In the place of what takes its time. The demo says what it would have built.
    for name in build bench-twins; do printf '#!/bin/sh\n' >"$checkout/scripts/$name.sh"; done
    printf '#!/bin/sh\ncat "${0%%/scripts/*}/rust-dev/src/lib.rs" >"%s"\n' "$tmp/seen" >"$checkout/scripts/demo.sh"
    printf '#!/bin/sh\n' | tee "$tmp/bin/cargo" >"$tmp/build/guest/x86_64-unknown-linux-gnu/release/my-rng-bench"
    printf '#!/bin/sh\necho END MY-RNG TEST\n' >"$tmp/build/bin/vm-demo"
    : >"$tmp/build/.my_rng-build"
    mkdir -- "$tmp/build/bench"
    : >"$tmp/build/bench/table.md"
    chmod +x -- "$tmp"/{bin/cargo,build/bin/vm-demo,build/guest/x86_64-unknown-linux-gnu/release/my-rng-bench}
    unchanged "$checkout" clean_env PATH="$tmp/bin:$PATH" make -s -C "$checkout" bench BUILD="$tmp/build"
    grep -q 'as the user edits it' -- "$tmp/seen"
    grep -q 'static MY_RNG_BENCH' -- "$tmp/seen"
    grep -qx 'edit [0-9.]*' -- "$tmp/build/bench/times"
    # One that is ended in the middle of the demo, too.
    mkfifo -- "$tmp/demo"
    printf '#!/bin/sh\necho $$ $PPID >"%s"\nexec sleep 1000000\n' "$tmp/demo" >"$checkout/scripts/demo.sh"
    # shellcheck disable=SC2317  # called below
    killed_bench() {
        local demo bench
        clean_env PATH="$tmp/bin:$PATH" MY_RNG_BUILD="$tmp/build" "$checkout/scripts/bench.sh" &
        read -r demo bench <"$tmp/demo"
        kill -KILL "$bench" "$demo"
        wait "$!" || true
    }
    unchanged "$checkout" killed_bench
}

# ---- all of them ----

(($#)) || mapfile -t < <(declare -F | sed -n 's/^declare -f test_//p')
(($#)) || set -- "${MAPFILE[@]}"
failed=0 count=0
for name; do
    # Short, for sockets of gpg's go there.
    tmp=$top/$((++count))
    mkdir -- "$tmp"
    # Not as a condition, in which bash takes no notice of errors.
    set +e
    (set -e && "test_$name") >"$top/said" 2>&1 </dev/null
    status=$?
    set -e
    if ((status == 0)); then
        echo "test $name ... ok$(sed -n 's/^SKIPPED:/ -- skipped:/p' "$top/said")"
    else
        echo "test $name ... FAILED"
        sed 's/^/    /' "$top/said"
        failed=$((failed + 1))
    fi
done
printf 'scripts: %d passed, %d failed\n' $(($# - failed)) "$failed"
((failed == 0))
