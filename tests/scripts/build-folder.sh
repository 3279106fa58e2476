# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The build folder, make clean, variables of make. tests/scripts.sh runs these.
# shellcheck disable=SC2016,SC2154  # scripts for an inner shell; the variables of tests/scripts.sh

foreign_folder() { # foreign_folder FOLDER: of the user's, with names in it that the build uses, too
    mkdir -p -- "$1"/{bin,share,log,.tmp.1.holiday}
    echo precious | tee "$1"/{bin,share,log,.tmp.1.holiday}/photo >"$1/where"
}

test_foreign_folder_is_neither_cleaned_nor_built_in() {
    foreign_folder "$tmp/home"
    unchanged "$tmp/home" fails_with 'nothing in it was removed' clean_env make -s clean BUILD="$tmp/home"
    unchanged "$tmp/home" fails_with 'nothing in it was removed' clean_env make -s distclean BUILD="$tmp/home" XDG_CACHE_HOME="$tmp"
    unchanged "$tmp/home" fails_with 'a new or an empty folder' clean_env make -s packages BUILD="$tmp/home"
    unchanged "$tmp/home" fails_with 'a new or an empty folder' clean_env MY_RNG_BUILD="$tmp/home" scripts/packages.sh list
}

test_paths_that_a_shell_would_split_are_refused() {
    local path
    for path in 'a b' a:b 'a&b' 'a$b' 'a[b' "a'b" 'a#b'; do
        fails_with 'special character' clean_env make -s clean BUILD="$tmp/$path"
        [[ ! -e $tmp/$path ]]
    done
    mkdir -- "$tmp/a,b+c@d"
    clean_env make -s clean BUILD="$tmp/a,b+c@d"
}

test_unknown_architectures_are_refused() {
    local machine
    fails_with 'set ARCH= to one of these' clean_env make -s where BUILD="$tmp/build" ARCH=m68k
    for machine in aarch64:arm64 x86_64:x86_64 riscv64:riscv64; do
        fails_with "nothing is built in $tmp/build/${machine#*:} yet" \
            on "${machine%:*}" clean_env make -s where BUILD="$tmp/build"
    done
}

test_clean_keeps_files_of_the_user() {
    lib 'mkdir -p "$BUILD"/bin "$BUILD"/.tmp.4194305.gone; mkdir "$BUILD/arm64"; echo mine >"$BUILD/notes"; echo mine >"$BUILD/.tmp.notes"'
    clean_env make -s clean BUILD="$tmp/build" 2>/dev/null
    [[ $(cd -- "$tmp/build" && find . -mindepth 1 | sort | paste -sd ' ') == "./.my_rng-build ./.tmp.notes ./notes" ]]
    # It is still a build folder.
    lib ''
    rm -- "$tmp/build/notes" "$tmp/build/.tmp.notes"
    clean_env make -s clean BUILD="$tmp/build"
    [[ ! -e $tmp/build ]]
    # Where there is nothing to remove, clean makes nothing.
    clean_env make -s clean BUILD="$tmp/build"
    [[ ! -e $tmp/build ]]
}

test_clean_knows_everything_that_is_built() {
    local built name
    built=" $(lib 'echo "${built[*]}"') "
    while read -r name; do
        [[ $built == *" $name "* ]] || { echo "clean does not know $name" && return 1; }
    done < <(grep -ohP '\$BUILD/\K[a-z][a-z.-]*' scripts/*.sh)
}

test_distclean_keeps_files_of_the_user() {
    mkdir -p -- "$tmp/home/.cache/my_rng"/{tools,mine}
    : >"$tmp/home/.cache/my_rng/lock-qemu"
    # In another checkout, because distclean also removes the checkout's target folder.
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
    for name in ARCH BUILD CMD DESTDIR FORCE FRESH JOBS LIMIT PACKAGES PREFIX PUBLISH QUICK ROUNDS SECONDS; do
        said=$(clean_env "$name=7" make -s -f Makefile -f "$tmp/probe.mk" probe)
        [[ -z $said ]] || { echo "$name of the environment counts: $said" && return 1; }
        for said in "$(clean_env make -s -f Makefile -f "$tmp/probe.mk" probe "$name=7")" \
            "$(clean_env "MY_RNG_$name=7" "$name=8" make -s -f Makefile -f "$tmp/probe.mk" probe)"; do
            [[ $said == "MY_RNG_$name=7" ]] || { echo "$name: $said" && return 1; }
        done
    done
    said=$(clean_env make -s -f Makefile -f "$tmp/probe.mk" probe CMD='echo "$HOME" $(id) #1')
    [[ $said == 'MY_RNG_CMD=echo "$HOME" $(id) #1' ]]
    not grep -nE '\$\{?(ARCH|CMD|DESTDIR|FORCE|FRESH|PACKAGES|PREFIX|PUBLISH|QUICK|ROUNDS)\b' scripts/*.sh
}
