#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/check-libvirt.sh: the guest of docs/libvirt.md under a real libvirt, by the commands of that page.
# It is saved and restored in the middle of a stream (to a file, by managedsave, by a snapshot), and every
# number that it reads has to be the stream's next: libc on pc, then chacha20 on q35.
#
# The daemon is a session daemon of the check's own (qemu:///session), and software emulation does for it.
# scripts/check-libvirt.sh --session FOLDER GENERATOR MACHINE: the part that is done as whoever owns it.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

page=$ROOT/docs/libvirt.md
seed=0x42
limit=120 # seconds that any one thing may take, far more than it needs

commands() { # the commands of the page, one a line
    # shellcheck disable=SC2016  # the marks of a block
    sed -n '/^ *```sh$/,/^ *```$/ { /```/d; s/^ *//; /./p }' -- "$page"
}

# ---- what a session leaves running ----

ours() { # ours FOLDER: the processes of FOLDER's session, which all have its environment, but for this script
    local file pid variables
    for file in /proc/[0-9]*/environ; do
        pid=${file//[!0-9]/}
        [[ $pid != "$$" && $pid != "$BASHPID" ]] || continue
        # It may have ended meanwhile, or be nobody's business.
        { mapfile -t -d '' variables <"$file"; } 2>/dev/null || continue
        [[ $'\n'$(printf '%s\n' "${variables[@]}")$'\n' == *$'\n'"HOME=$1"$'\n'* ]] || continue
        printf '%s\n' "$pid"
    done
}

end_ours() { # end_ours FOLDER: ends them, and those that they start meanwhile
    local try pids signal=TERM
    for ((try = 0; try < 100; try++)); do
        mapfile -t pids < <(ours "$1")
        ((${#pids[@]})) || return 0
        ((try < 50)) || signal=KILL
        kill "-$signal" "${pids[@]}" 2>/dev/null || true
        pause 0.1
    done
    printf 'error: these processes of the check cannot be ended: %s\n' "${pids[*]}" >&2
    return 1
}

# ---- a session ----

# As a process of this script's group, so that what ends the one ends the other.
in_time=(timeout --foreground -k 10 "$limit")

documented() { # documented COMMAND: runs a command of the page, as it stands there
    grep -qxF -e "$1" <<<"$page_commands" ||
        die "docs/libvirt.md does not have the command: $1: make the page and scripts/check-libvirt.sh agree."
    printf '%s\n' "$1" >>"$folder/ran"
    printf '$ %s\n' "$1" >&2
    if ! eval "${1/#virsh /"${in_time[*]} virsh "}"; then
        if grep -qs 'cannot execute binary.*Permission denied' "$XDG_CACHE_HOME"/libvirt/*.log; then
            die "libvirt may not start $QEMU_PREFIX/bin/qemu-system-x86_64: the section on AppArmor in" \
                "docs/libvirt.md tells how to allow it (and its disk must not be mounted noexec)."
        fi
        if grep -qs 'no connection driver available' "$XDG_CACHE_HOME"/libvirt/*.log; then
            die "libvirt has no QEMU driver here: install it (on Debian: libvirt-daemon-driver-qemu)."
        fi
        die "this command of docs/libvirt.md failed: $1"
    fi
}

await() { # await WHAT COMMAND...: tries COMMAND until it succeeds
    local what=$1 deadline=$((SECONDS + limit))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || die "within $limit seconds, this did not come: $what"
        pause 0.1
    done
}

type_in() { printf '%s\r' "$1" >&"$keyboard"; } # type_in LINE: on the guest's console

prompts() { grep -c -F "$prompt" "$console" 2>/dev/null || true; }
has_prompts() { (($(prompts) >= $1)); }
answers() {
    type_in ''
    has_prompts "$1"
}

has_ended() { ! alive "$1"; }

attach() { # the page's `virsh console`, on a terminal of its own
    local before
    # Two of them would share what is typed.
    if [[ -n $viewer ]]; then await "the end of virsh console" has_ended "$viewer"; fi
    before=$(prompts)
    printf '%s\n' 'virsh console my_rng' >>"$folder/ran"
    script -qefc 'virsh console my_rng' "$folder/attached" <"$folder/keyboard" >/dev/null 2>&1 &
    viewer=$!
    # What is typed before virsh has set up its terminal is lost.
    await "an answer of the guest's shell through virsh console" answers $((before + 1))
}

printed() { # printed COUNT: whether the guest's shell waits, after so many numbers; they go to $numbers
    mapfile -t numbers < <(sed -n 's/^\([0-9][0-9]*\)\r$/\1/p' -- "$console")
    ((${#numbers[@]} >= $1)) && [[ $(tail -n 1 -- "$console") == "$prompt"* ]]
}

take() { # take COUNT COMMAND: COMMAND gives COUNT numbers, the next of the stream
    local end=$((seen + $1))
    type_in "$2"
    await "$1 numbers by the guest's \`$2\`" printed "$end"
    ((${#numbers[@]} == end)) || die "the guest's \`$2\` gave more than $1 numbers."
    for ((; seen < end; seen++, place++)); do
        [[ ${numbers[seen]} == "${stream[place]}" ]] ||
            die "number $((place + 1)) of $generator with seed $seed is ${stream[place]}, and the guest got" \
                "${numbers[seen]}: the stream was not where it should be."
    done
}

take_one_by_one() { # take_one_by_one COUNT
    local left
    for ((left = $1; left > 0; left--)); do take 1 'my-rng read'; done
}

counter() { # counter WANTED: the page's command shows that the device counted so many reads
    local said
    said=$(documented "virsh qemu-monitor-command --pretty my_rng '{\"execute\": \"qom-get\", \"arguments\": {\"path\": \"rng0\", \"property\": \"reads\"}}'")
    grep -q "\"return\": $1,\$" <<<"$said" || die "the counter of reads should be $1, but QEMU says: $said"
}

is_off() { [[ $("${in_time[@]}" virsh domstate my_rng) == 'shut off' ]]; }

gone() { # gone PID: neither libvirt nor the system has the guest any more
    is_off || die "the domain is not off after it was saved: see libvirt's log."
    if alive "$1"; then die "libvirt says that the domain is off, but its QEMU still runs."; fi
}

qemu_pid() { cat -- "$XDG_RUNTIME_DIR/libvirt/qemu/run/my_rng.pid"; }

is_unplugged() { # what has no such name any more cannot be asked
    local said
    said=$("${in_time[@]}" virsh qemu-monitor-command my_rng \
        '{"execute": "qom-get", "arguments": {"path": "rng1", "property": "reads"}}')
    [[ $said == *'"error"'* ]]
}

hotplug() {
    documented "virsh qemu-monitor-command my_rng '{\"execute\": \"device_add\", \"arguments\": {\"driver\": \"my_rng\", \"id\": \"rng1\", \"bus\": \"pci.0\", \"addr\": \"0x1d\", \"seed\": $((seed))}}'"
    # A stream of its own, at its start.
    local place=0
    take 1 'until [ -e /dev/my_rng_driver1 ]; do :; done; my-rng --device /dev/my_rng_driver1 read'
    documented "virsh qemu-monitor-command my_rng '{\"execute\": \"device_del\", \"arguments\": {\"id\": \"rng1\"}}'"
    await "the end of the device that was unplugged" is_unplugged
}

compute_stream() { # compute_stream COUNT: the first numbers to $stream, by others' implementations
    case $generator in
        libc)
            mapfile -t stream < <(python3 -c 'import ctypes, sys
libc = ctypes.CDLL("libc.so.6")
libc.srand(int(sys.argv[1], 0))
for _ in range(int(sys.argv[2])):
    print(libc.rand())' "$seed" "$1")
            ;;
        chacha20)
            mapfile -t stream < <(
                head -c $((4 * $1)) /dev/zero |
                    openssl enc -chacha20 -K "${seed#0x}$(printf '00%.0s' {1..31})" -iv "$(printf '00%.0s' {1..16})" |
                    od -A n -v -t u4 -w4 --endian=little | tr -d ' '
            )
            ;;
    esac
    ((${#stream[@]} == $1)) || die "the stream of $generator could not be computed: are python3 and openssl whole?"
    # They are of the table of known answers, or something is wrong here.
    grep -qF "first: [${stream[0]}, ${stream[1]}, ${stream[2]}, ${stream[3]}, ${stream[4]}]" "$ROOT/abi/known_answers.rs" ||
        die "what was computed of $generator with seed $seed is not in abi/known_answers.rs: fix compute_stream."
}

# In the place where a checkout's files are, so that the page's commands find them as they stand.
lay_out() {
    local name
    mkdir -p "$folder/checkout/build" "$XDG_RUNTIME_DIR"
    chmod 700 "$XDG_RUNTIME_DIR"
    cd -- "$folder/checkout"
    ln -s "$ROOT/docs" docs
    for name in qemu linux initramfs.cpio; do ln -s "$BUILD/$name" "build/$name"; done
    mkfifo "$folder/keyboard"
}

show() { # what libvirt, QEMU and the guest said last, once
    local file count=5
    [[ ! -e $folder/shown ]] || return 0
    : >"$folder/shown"
    for file in "$XDG_CACHE_HOME"/libvirt/*.log "$XDG_CACHE_HOME"/libvirt/qemu/log/*.log "$console"; do
        [[ -s $file ]] || continue
        [[ $file != "$console" ]] || count=10
        printf -- '--- the end of %s:\n' "${file#"$folder"/}"
        # The guest's last line may have no end yet.
        { tail -n "$count" -- "$file" && echo; } | tr -d '\r' | cut -c 1-200
    done >&2
}

finish() { # finish STATUS: nothing of the session stays
    set +e
    trap '' INT TERM HUP
    if (($1)); then show; fi
    end_ours "$folder" || exit 1
    exit "$1"
}

session() { # session FOLDER GENERATOR MACHINE
    folder=$1 generator=$2
    local daemon before pid here
    viewer='' console=$folder/checkout/build/libvirt/console.log prompt='guest:~# '
    page_commands=$(commands)
    seen=0 place=0
    die() {
        show
        printf 'error: %s\n' "$*" >&2
        exit 1
    }
    trap 'finish $?' EXIT
    lay_out
    compute_stream 100
    exec {keyboard}<>"$folder/keyboard"

    # Each daemon says that it is ready by going into the background. virsh would start one itself, but what
    # that one says would be lost.
    daemon=$(command -v virtqemud || command -v libvirtd)
    "${in_time[@]}" "$daemon" --daemon --timeout 120 || die "$daemon could not be started as a session daemon."
    export LIBVIRT_AUTOSTART=0

    documented "export LIBVIRT_DEFAULT_URI=qemu:///session"
    documented "mkdir -p build/libvirt"
    # shellcheck disable=SC2016  # as it stands in the page
    documented 'sed "s|/path/to/my_rng|$PWD|" docs/my_rng-domain.xml >build/libvirt/my_rng.xml'
    documented "virsh define build/libvirt/my_rng.xml"
    # What is changed in it afterwards counts.
    if [[ $3 == q35 ]]; then
        documented "sed -i -e \"s/machine='pc'/machine='q35'/\" -e 's/bus=pci.0/bus=pcie.0/' build/libvirt/my_rng.xml"
    fi
    sed -i "s/my_rng,id=rng0/&,generator=$generator/" build/libvirt/my_rng.xml
    grep "value='my_rng,.*generator=$generator" build/libvirt/my_rng.xml ||
        die "docs/my_rng-domain.xml has no device my_rng with the id rng0."
    documented "virsh define build/libvirt/my_rng.xml"
    documented "qemu-img create -f qcow2 build/libvirt/snapshots.qcow2 1G"
    # shellcheck disable=SC2016
    documented 'virsh attach-disk my_rng "$PWD/build/libvirt/snapshots.qcow2" vda --subdriver qcow2 --config'
    documented "virsh start my_rng"
    await "the prompt of the guest's shell" has_prompts 1
    attach
    # From here on nothing but the shell writes on the console.
    before=$(prompts)
    type_in 'dmesg -n 1'
    await "the prompt after dmesg" has_prompts $((before + 1))

    take 3 'my-rng read 3'
    if [[ $generator == libc ]]; then
        [[ $(grep -xE '[0-9]+' -- "$page") == "$(printf '%s\n' "${stream[@]:0:3}")" ]] ||
            die "docs/libvirt.md shows other numbers than the guest: correct it."
    fi
    take_one_by_one 4
    counter 7
    if [[ $3 == pc ]]; then hotplug; fi

    pid=$(qemu_pid)
    documented "virsh save my_rng build/libvirt/saved"
    gone "$pid"
    documented "virsh restore build/libvirt/saved"
    attach
    # More than libc's table has words, and than a block of chacha20 has.
    take_one_by_one 40
    counter 40

    pid=$(qemu_pid)
    documented "virsh managedsave my_rng"
    gone "$pid"
    documented "virsh start my_rng"
    attach
    take_one_by_one 3

    documented "virsh snapshot-create-as my_rng here"
    here=$place
    take_one_by_one 3
    documented "virsh snapshot-revert my_rng here"
    place=$here
    attach
    take_one_by_one 5
    documented "virsh snapshot-delete my_rng here"

    if [[ $3 == pc ]]; then
        documented "virsh destroy my_rng"
    else
        type_in exit
        await "the end of the guest that was left with exit" is_off
    fi
    documented "virsh undefine my_rng"
    printf '%s numbers of %s (seed %s): each was the next of the stream\n' "$seen" "$generator" "$seed"
}

# ---- all of it ----

if [[ ${1:-} == --session ]]; then
    shift
    session "$@"
    exit
fi

needed=(virsh qemu-img script python3 openssl)
install=$(commands | grep '^scripts/packages.sh install ') || die "$page no longer says which packages libvirt takes."
if command -v apt-get >/dev/null; then
    # shellcheck disable=SC2086  # words
    sub "$ROOT"/$install
fi
command -v virtqemud >/dev/null || needed+=(libvirtd)
for command in "${needed[@]}"; do
    command -v "$command" >/dev/null ||
        die "there is no $command, which this check needs: install libvirt with its QEMU driver and clients" \
            "(on Debian and Ubuntu, scripts/packages.sh installs it), then give the same command again."
done
lock_build
sub "$ROOT/scripts/build.sh" all
need_space "$BUILD" 500 "the check with libvirt"

# The sockets' paths have to fit into 108 bytes, of which libvirt takes some 50.
parent=$BUILD
if ((${#parent} > 30)); then
    parent=/tmp/my_rng-$EUID
    if ! { mkdir -p -- "$parent" && [[ -O $parent && ! -L $parent ]] && chmod 711 "$parent"; }; then
        die "$parent is no folder of yours: remove it."
    fi
    sweep "$parent"
fi

# For root libvirt's daemon is that of the whole system: so root becomes nobody, in name only where it may (then
# everything can be read as before), else for real.
readable=(test -x "$QEMU_PREFIX/bin/qemu-system-x86_64" -a -r "$BUILD/initramfs.cpio" -a -r "$ROOT/scripts/lib.sh"
    -a -x "$parent")
become=() environment=() owner=''
# shellcheck disable=SC2031  # what a subshell changes is not for here
for name in PATH "${!MY_RNG_@}"; do environment+=("$name=${!name}"); done
if ((EUID == 0)); then
    uid=$(id -u nobody) || die "there is no user nobody for root to become: give this command as a plain user."
    gid=$(id -g nobody)
    become=(unshare --user --map-user="$uid" --map-group="$gid")
    if ! "${become[@]}" "${readable[@]}" 2>/dev/null; then
        become=(setpriv --reuid="$uid" --regid="$gid" --clear-groups)
        owner=$uid:$gid
        "${become[@]}" "${readable[@]}" ||
            die "qemu:///session is not for root, and the user nobody may not read $BUILD: give this command as a" \
                "plain user, or let all users search the folders that lead there."
    fi
fi

folders=() ran=
tidy() { # tidy STATUS: at_exit, after what a session that was killed has left
    set +e
    trap '' INT TERM HUP
    local folder
    for folder in ${folders[@]+"${folders[@]}"}; do
        end_ours "$folder"
        rm -rf -- "$folder"
    done
    [[ $parent == "$BUILD" ]] || rmdir -- "$parent" 2>/dev/null
    (exit "$1")
    at_exit
}
trap 'tidy $?' EXIT

for words in "libc pc" "chacha20 q35"; do
    read -r generator machine <<<"$words"
    new_tmp "$parent"
    folders+=("$tmp")
    [[ -z $owner ]] || chown "$owner" "$tmp"
    step "libvirt-$generator" "libvirt: saving and restoring the guest in the middle of a stream ($generator on $machine)" \
        ${become[@]+"${become[@]}"} env -i "${environment[@]}" "HOME=$tmp" "XDG_RUNTIME_DIR=$tmp/r" \
        "XDG_CONFIG_HOME=$tmp/c" "XDG_CACHE_HOME=$tmp/k" \
        "$ROOT/scripts/check-libvirt.sh" --session "$tmp" "$generator" "$machine"
    say "   $(tail -n 1 -- "$LOG/libvirt-$generator.log")"
    end_ours "$tmp" || exit 1
    ran+=$(<"$tmp/ran")$'\n'
done

left=$(commands | grep -vxF -e "$install" -e "$ran") || true
[[ -z $left ]] || die "docs/libvirt.md has commands that this check does not run: add them to it: $left"
