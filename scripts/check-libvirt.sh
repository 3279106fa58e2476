#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/check-libvirt.sh: runs the guest of docs/libvirt.md under libvirt, by the commands of that page. Saves and
# restores it in the middle of a stream (to a file, by managedsave, by a snapshot): every number that it reads has to
# be the stream's next. First with libc on pc, then with chacha20 on q35: the page's guest is a PC, on any machine.
#
# The daemon is a session daemon (qemu:///session) in namespaces of the check's own; software emulation is enough.
# scripts/check-libvirt.sh --session FOLDER GENERATOR MACHINE: the part that runs in the namespaces.
export MY_RNG_ARCH=x86_64
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

page=$ROOT/docs/libvirt.md
seed=0x42
limit=120 # seconds for each command and each wait, far more than they need

commands() { # the commands of the page, one a line
    # shellcheck disable=SC2016  # the marks of a block
    sed -n '/^ *```sh$/,/^ *```$/ { /```/d; s/^ *//; /./p }' -- "$page"
}

# ---- a session ----

in_time=(timeout --foreground -k 10 "$limit")

documented() { # documented COMMAND: runs a command of the page, as it stands there
    grep -qxF -e "$1" <<<"$page_commands" ||
        die "docs/libvirt.md does not have this command: $1: make the page and scripts/check-libvirt.sh agree."
    printf '%s\n' "$1" >>"$folder/ran"
    printf '$ %s\n' "$1" >&2
    if ! eval "${1/#virsh /"${in_time[*]} virsh "}"; then
        if grep -qs 'cannot execute binary.*Permission denied' "$XDG_CACHE_HOME"/libvirt/*.log; then
            die "libvirt may not start $QEMU: see the section on AppArmor in" \
                "docs/libvirt.md (and its disk must not be mounted noexec)."
        fi
        if grep -qs 'no connection driver available' "$XDG_CACHE_HOME"/libvirt/*.log; then
            die "libvirt has no QEMU driver here: install it (on Debian: libvirt-daemon-driver-qemu)."
        fi
        die "this command of docs/libvirt.md failed: $1"
    fi
}

await() { # await WHAT COMMAND...: tries COMMAND until it succeeds
    retry "$limit" "${@:2}" || die "within $limit seconds, this did not happen: $1"
}

type_in() { printf '%s\r' "$1" >&"$keyboard"; } # type_in LINE: on the guest's console

prompts() { grep -c -F "$prompt" "$console" 2>/dev/null || true; }
has_prompts() { (($(prompts) >= $1)); }
answers() {
    type_in ''
    has_prompts "$1"
}

attach() { # the page's `virsh console`, on a terminal of its own
    local before
    # It ends when the guest is saved. Two of them would share what is typed.
    if [[ -n $viewer ]]; then timeout "$limit" tail --pid="$viewer" -f /dev/null; fi
    before=$(prompts)
    printf '%s\n' 'virsh console my_rng' >>"$folder/ran"
    script -qefc 'virsh console my_rng' "$folder/attached" <"$folder/keyboard" >/dev/null 2>&1 &
    viewer=$!
    # What is typed before virsh has set up its terminal is lost: answers types until the shell answers.
    await "an answer of the guest's shell through virsh console" answers $((before + 1))
}

printed() { # printed COUNT: whether the guest has printed COUNT numbers and a prompt; they go to $numbers
    mapfile -t numbers < <(sed -n 's/^\([0-9][0-9]*\)\r$/\1/p' -- "$console")
    ((${#numbers[@]} >= $1)) && [[ $(tail -n 1 -- "$console") == "$prompt"* ]]
}

take() { # take COUNT COMMAND: COMMAND prints COUNT numbers, the next of the stream
    local end=$((seen + $1))
    type_in "$2"
    await "$1 numbers by the guest's \`$2\`" printed "$end"
    ((${#numbers[@]} == end)) || die "the guest's \`$2\` printed more than $1 numbers."
    for ((; seen < end; seen++, place++)); do
        [[ ${numbers[seen]} == "${stream[place]}" ]] ||
            die "number $((place + 1)) of $generator with seed $seed is ${stream[place]}, and the guest got" \
                "${numbers[seen]}: the stream did not continue where it was."
    done
}

take_one_by_one() { # take_one_by_one COUNT
    local left
    for ((left = $1; left > 0; left--)); do take 1 'my-rng read'; done
}

counter() { # counter WANTED: the page's command shows that the device has counted WANTED reads
    local said
    said=$(documented "virsh qemu-monitor-command --pretty my_rng '{\"execute\": \"qom-get\", \"arguments\": {\"path\": \"rng0\", \"property\": \"reads\"}}'")
    grep -q "\"return\": $1,\$" <<<"$said" || die "the counter of reads should be $1, but QEMU says: $said"
}

is_off() { [[ $("${in_time[@]}" virsh domstate my_rng) == 'shut off' ]]; }

gone() { # gone PID: the domain is off, and its QEMU has ended
    is_off || die "the domain is not off after it was saved: see libvirt's log."
    if is_alive "$1"; then die "libvirt says that the domain is off, but its QEMU still runs."; fi
}

qemu_pid() { cat -- "$XDG_RUNTIME_DIR/libvirt/qemu/run/my_rng.pid"; }

is_unplugged() { # QEMU has no object of that name any more
    local said
    said=$("${in_time[@]}" virsh qemu-monitor-command my_rng \
        '{"execute": "qom-get", "arguments": {"path": "rng1", "property": "reads"}}')
    [[ $said == *'"error"'* ]]
}

hotplug() {
    documented "virsh qemu-monitor-command my_rng '{\"execute\": \"device_add\", \"arguments\": {\"driver\": \"my_rng\", \"id\": \"rng1\", \"bus\": \"pci.0\", \"addr\": \"0x1d\", \"seed\": $((seed))}}'"
    # It has a stream of its own.
    local place=0
    take 1 'until [ -e /dev/my_rng_driver1 ]; do :; done; my-rng --device /dev/my_rng_driver1 read'
    documented "virsh qemu-monitor-command my_rng '{\"execute\": \"device_del\", \"arguments\": {\"id\": \"rng1\"}}'"
    await "the end of the unplugged device" is_unplugged
}

compute_stream() { # compute_stream COUNT: the first numbers go to $stream, from other implementations
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
    ((${#stream[@]} == $1)) || die "the stream of $generator could not be computed: check python3 and openssl."
    grep -qF "first: [${stream[0]}, ${stream[1]}, ${stream[2]}, ${stream[3]}, ${stream[4]}]" "$ROOT/abi/known_answers.rs" ||
        die "the stream of $generator with seed $seed is not in abi/known_answers.rs: fix compute_stream."
}

lay_out() { # a checkout with the files that the page's commands use
    local name
    mkdir -p "$folder/checkout/build" "$XDG_RUNTIME_DIR"
    chmod 700 "$XDG_RUNTIME_DIR"
    cd -- "$folder/checkout"
    ln -s "$ROOT/docs" docs
    for name in qemu "$arch"; do ln -s "$BUILD/$name" "build/$name"; done
    mkfifo "$folder/keyboard"
}

show() { # show STATUS: at the end of a failed session, the last lines of libvirt, QEMU and the guest
    local file count=5
    (($1)) || return 0
    for file in "$XDG_CACHE_HOME"/libvirt/*.log "$XDG_CACHE_HOME"/libvirt/qemu/log/*.log "$console"; do
        [[ -s $file ]] || continue
        [[ $file != "$console" ]] || count=10
        printf -- '--- the end of %s:\n' "${file#"$folder"/}"
        # The guest's last line may be incomplete.
        { tail -n "$count" -- "$file" && echo; } | tr -d '\r' | cut -c 1-200
    done >&2
}

session() { # session FOLDER GENERATOR MACHINE
    folder=$1 generator=$2
    local daemon before pid here
    trap 'show $?' EXIT
    viewer='' console=$folder/checkout/build/libvirt/console.log prompt='guest:~# '
    page_commands=$(commands)
    seen=0 place=0
    lay_out
    compute_stream 100
    exec {keyboard}<>"$folder/keyboard"

    # A daemon goes into the background when it is ready. (virsh would start one without a log.)
    daemon=$(command -v virtqemud || command -v libvirtd)
    "${in_time[@]}" "$daemon" --daemon --timeout 120 || die "$daemon could not be started as a session daemon."
    export LIBVIRT_AUTOSTART=0

    documented "export LIBVIRT_DEFAULT_URI=qemu:///session"
    documented "mkdir -p build/libvirt"
    # shellcheck disable=SC2016  # as it stands in the page
    documented 'sed "s|/path/to/my_rng|$PWD|" docs/my_rng-domain.xml >build/libvirt/my_rng.xml'
    documented "virsh define build/libvirt/my_rng.xml"
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
    # From here on, only the shell writes to the console.
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
    # More than libc's table, or a block of chacha20.
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
        await "the end of the guest after exit" is_off
    fi
    documented "virsh undefine my_rng"
    printf '%s numbers of %s (seed %s): each was the next of the stream\n' "$seen" "$generator" "$seed"
}

# ---- all of it ----

if [[ ${1:-} == --session ]]; then
    session "${@:2}"
    exit
fi

needed=(virsh qemu-img script python3 openssl)
install=$(commands | grep '^scripts/packages.sh install ') || die "$page does not say any more which packages to install."
if command -v apt-get >/dev/null; then
    # shellcheck disable=SC2086  # words
    sub "$ROOT"/$install
fi
command -v virtqemud >/dev/null || needed+=(libvirtd)
for command in "${needed[@]}"; do
    command -v "$command" >/dev/null ||
        die "there is no $command: install libvirt with its QEMU driver and clients (scripts/packages.sh does so on" \
            "Debian and Ubuntu), then give the same command again."
done
lock_build
sub "$ROOT/scripts/build.sh" all
need_space "$BUILD" 500 "the check with libvirt"

# Sockets' paths have at most 108 bytes, of which libvirt needs some 50.
parent=$BUILD
if ((${#parent} > 30)); then
    parent=/tmp/my_rng-$EUID
    if ! { mkdir -p -- "$parent" && [[ -O $parent && ! -L $parent ]] && chmod 700 "$parent"; }; then
        die "$parent is not your folder: remove it."
    fi
    sweep "$parent"
fi
at_end() { [[ $parent == "$BUILD" ]] || rmdir -- "$parent" 2>/dev/null || true; }

# The daemon ends with its process namespace, whatever happens. There is no session daemon for root: in the user
# namespace, the caller is nobody in name, and may read the same files.
namespaces=(unshare --user "--map-user=$(id -u nobody)" "--map-group=$(id -g nobody)" --pid --fork --kill-child
    --mount-proc)
"${namespaces[@]}" true || die "this check needs user and process namespaces: allow them, or run it as root."

environment=() ran=
# shellcheck disable=SC2031  # what a subshell changes does not matter here
for name in PATH "${!MY_RNG_@}"; do environment+=("$name=${!name}"); done
for words in "libc pc" "chacha20 q35"; do
    read -r generator machine <<<"$words"
    new_tmp "$parent"
    step "libvirt-$generator" "libvirt: saving and restoring the guest in the middle of a stream ($generator on $machine)" \
        "${namespaces[@]}" env -i "${environment[@]}" "HOME=$tmp" "XDG_RUNTIME_DIR=$tmp/r" "XDG_CONFIG_HOME=$tmp/c" \
        "XDG_CACHE_HOME=$tmp/k" "$ROOT/scripts/check-libvirt.sh" --session "$tmp" "$generator" "$machine"
    say "   $(tail -n 1 -- "$LOG/libvirt-$generator.log")"
    ran+=$(<"$tmp/ran")$'\n'
done

left=$(commands | grep -vxF -e "$install" -e "$ran") || true
[[ -z $left ]] || die "docs/libvirt.md has commands that this check does not run: add them to it: $left"
