#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/check-vmstate.sh [BUILD_DIR]      (default: where make builds QEMU)
#
# Does the QEMU in BUILD_DIR describe the state of the device, which travels in a migration and is kept in
# snapshots, just as tests/vmstate/my_rng-vVERSION.json does? Compares the two, lets QEMU's own
# vmstate-static-checker.py look in both directions, and then changes the description in every way that
# matters, each of which must be seen.
#
# A format that was published is never changed. A new one has a new version and a new file:
# scripts/check-vmstate.sh --new [BUILD_DIR] writes it.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

new=
if [[ ${1:-} == --new ]]; then
    new=yes
    shift
fi
build=${1:-$QEMU_TREE/build}
[[ -x $build/qemu-system-x86_64 ]] ||
    die "there is no qemu-system-x86_64 in $build: build QEMU there first."
checker=$(sed -n 's/^SRC_PATH=//p' -- "$build/config-host.mak")/scripts/vmstate-static-checker.py
[[ -e $checker ]] || die "$checker is missing: take a QEMU whose source is whole."
# The Python that QEMU was built with.
python=("$build/pyvenv/bin/python3" -B)

vmstate() { "${python[@]}" "$ROOT/scripts/vmstate.py" "$@"; }

new_tmp "${TMPDIR:-/tmp}"
"$build/qemu-system-x86_64" -machine none -dump-vmstate "$tmp/dump"
vmstate section "$tmp/dump" >"$tmp/now.json"
version=$("${python[@]}" -c 'import json, sys; print(json.load(open(sys.argv[1]))["my_rng"]["version_id"])' "$tmp/now.json")
known=$ROOT/tests/vmstate/my_rng-v$version.json

if [[ -n $new ]]; then
    [[ ! -e $known ]] || die "$known is published, and stays as it is: raise the state's VERSION first."
    vmstate take "$tmp/dump" >"$tmp/new.json"
    put "$known" <"$tmp/new.json"
    say "$known is written: look at it, and commit it."
    exit 0
fi
[[ -e $known ]] ||
    die "QEMU says that the state has version $version, of which there is no tests/vmstate/my_rng-v$version.json:" \
        "go back to the version there is, or write it with scripts/check-vmstate.sh --new."
latest=$(printf '%s\n' "$ROOT"/tests/vmstate/my_rng-v*.json | sort -V | tail -n 1)
[[ $known == "$latest" ]] ||
    die "QEMU says that the state has version $version, but $latest is newer: a version is never taken back."

differs() { # differs A B: shows how
    ! diff -u --label known --label QEMU -- "$1" "$2"
}

objects() { # objects A B: whether QEMU's checker does, in one direction or the other; shows to what
    local status=0
    "${python[@]}" "$checker" -s "$1" -d "$2" || status=1
    "${python[@]}" "$checker" -s "$1" -d "$2" --reverse || status=1
    ((status))
}

failed=0
vmstate complete "$known" "$tmp/dump" >"$tmp/known.json"
if differs "$tmp/known.json" "$tmp/now.json" || objects "$tmp/known.json" "$tmp/now.json"; then
    echo "the state of version $version is not as published: raise the state's VERSION, and say" \
        "scripts/check-vmstate.sh --new"
    failed=1
fi

# Would it have been seen?
mkdir -- "$tmp/mutants"
vmstate mutants "$tmp/known.json" "$tmp/mutants"
mutants=0 by_checker=0
for mutant in "$tmp"/mutants/*.json; do
    name=${mutant##*/}
    name=${name%.json}
    mutants=$((mutants + 1))
    if ! differs "$tmp/known.json" "$mutant" >/dev/null; then
        echo "not seen: $name"
        failed=1
    fi
    if objects "$tmp/known.json" "$mutant" >/dev/null; then
        by_checker=$((by_checker + 1))
        continue
    fi
    case $name in
        # What QEMU's checker does not look at.
        *-longer | oldest-version-lowered) ;;
        *)
            echo "not seen by QEMU's checker: $name"
            failed=1
            ;;
    esac
done
((mutants > 0)) || { echo "there was nothing to change" && failed=1; }
printf 'vmstate: version %d %s; %d changes of it tried, %d of them seen by QEMU'\''s own checker too\n' \
    "$version" "$( ((failed)) && echo FAILED || echo 'as published')" "$mutants" "$by_checker"
((failed == 0))
