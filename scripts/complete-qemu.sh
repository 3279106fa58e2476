# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Puts into QEMU's source what only the project's own releases hold: firmware, which the distributions remove from the
# tarball and package separately, and Python packages. scripts/fetch.sh sources this file.
# shellcheck disable=SC2154  # its variables

# ---- firmware ----

# Puts the firmware of the distribution's packages where the release has it, so that plain `./configure && make install`
# works. For firmware that no machine of our architectures uses, an empty file is enough.
add_firmware() { # add_firmware UNPACKED TREE
    local name found path opensbi=usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin
    while read -r name; do
        [[ -e $2/pc-bios/$name ]] && continue
        found=
        for path in usr/share/qemu/"$name" usr/share/seabios/"$name" usr/lib/ipxe/qemu/"$name"; do
            if [[ -e $1/$path ]]; then found=$1/$path; fi
        done
        if [[ $name == opensbi-riscv64-generic-fw_dynamic.bin && -e $1/$opensbi ]]; then found=$1/$opensbi; fi
        case ${found:+found}$name in
            found*) cp -L -- "$found" "$2/pc-bios/$name" ;;
            opensbi-riscv64-* | bios*.bin | vgabios*.bin | linuxboot*.bin | multiboot*.bin | kvmvapic.bin | pvh.bin | efi-e1000*.rom)
                echo "the firmware packages lack $name"
                return 1
                ;;
            *.bz2) bzip2 </dev/null >"$2/pc-bios/$name" ;;
            *) : >"$2/pc-bios/$name" ;;
        esac
    done < <(
        sed -n -e "s/^ *'\(edk2-[^']*\.fd\)',\$/\1.bz2/p" -e "/^blobs = /,/^]/s/^ *'\([^']*\)',\$/\1/p" \
            -- "$2/pc-bios/meson.build"
        find "$2/pc-bios" -name '*.dts' -printf '%P\n' | sed 's/\.dts$/.dtb/'
    )
}

# ---- Python packages ----

# Releases hold those that QEMU's configure installs. For another source, they come from PyPI, in the versions that the
# tree names.
declare -A wheel_sha256=(
    [meson==1.2.3]=17d9124ffad38f5bbb6b198a8de5ecc55ebcd164d35a1d9dae06b8de0605a252
    [meson==1.5.0]=52b34f4903b882df52ad0d533146d4b992c018ea77399f825579737672ae7b20
    [meson==1.9.0]=45e51ddc41e37d961582d06e78c48e0f9039011587f3495c4d6b0781dad92357
    [meson==1.10.0]=4b27aafce281e652dcb437b28007457411245d975c48b5db3a797d3e93ae1585
    [pycotap==1.3.1]=1c3a25b3ff89e48f4e00f1f71dbbc1642b4f65c65d416524d07e73492fff25ea
    [tomli==2.0.1]=939de3e7a6161af0c887ef91b7d41a53e7c5a1ca976325f429cb46ea9bc30ecc
)

add_wheels() { # add_wheels TREE
    local requirements wheels requirement hashes=(--require-hashes) tmp
    compgen -G "$1/python/wheels/*.whl" >/dev/null && return 0
    mapfile -t requirements < <(sed -n '/^\[meson\]/,/^\[/s/^\([A-Za-z0-9_.-]*\) *= *{.*installed *= *"\([^"]*\)".*/\1==\2/p' \
        -- "$1/pythondeps.toml")
    ((${#requirements[@]})) || die "$1/pythondeps.toml names no meson: set QEMU_TARBALL= to a release tarball."
    wheels=$CACHE/pypi/$(IFS=+ && printf %s "${requirements[*]}")
    if ! is_cached "$wheels"; then
        new_tmp "$cache_tmp"
        for requirement in "${requirements[@]}"; do
            [[ -n ${wheel_sha256[$requirement]:-} ]] || hashes=()
        done
        ((${#hashes[@]})) ||
            loudly "This project does not know the hashes of all of ${requirements[*]}: trusting PyPI"
        for requirement in "${requirements[@]}"; do
            echo "$requirement${hashes:+ --hash=sha256:${wheel_sha256[$requirement]}}"
        done >"$tmp/requirements"
        step_may_fail "$what-wheels" "Downloading Python packages with which QEMU is built: ${requirements[*]}" \
            get_wheels "$tmp" ${hashes[@]+"${hashes[@]}"}
        if ((status)); then
            exit_if_disk_full "$LOG/$what-wheels.log"
            die "${requirements[*]} could not be downloaded from PyPI ($(last_line "$LOG/$what-wheels.log")): check" \
                "the network and give the same command again, or set QEMU_TARBALL= to a release tarball."
        fi
        put_in_cache "$tmp/got" "$wheels"
    fi
    { mkdir -p -- "$1/python/wheels" && cp -- "$wheels"/*.whl "$1/python/wheels/"; } ||
        die "$1 cannot be written: is the disk full?"
}

get_wheels() { # get_wheels FOLDER [OPTION]: what FOLDER/requirements lists, into FOLDER/got
    /usr/bin/python3 -m venv "$1/venv"
    "$1/venv/bin/python" -m pip download --disable-pip-version-check --no-deps --only-binary=:all: \
        --dest "$1/got" "${@:2}" --requirement "$1/requirements"
}
