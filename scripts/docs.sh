#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/docs.sh: the pages of docs/ and the README.md files as a site, in build/docs. A dead link is an error.
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# The distribution's, which its packages are for.
python=/usr/bin/python3
[[ -x $python ]] || python=python3
site=$BUILD/docs

build() {
    rm -rf -- "$site"
    "$python" -m sphinx -n -W --keep-going -q -b html -c "$ROOT/docs" "$ROOT" "$site"
    echo '<meta http-equiv="refresh" content="0; url=docs/index.html">' >"$site/index.html"
}

lock_build
"$python" -c 'import furo, myst_parser, sphinx' 2>/dev/null ||
    sub "$ROOT/scripts/packages.sh" install python3-sphinx python3-myst-parser furo
step docs "Building the documentation" build
echo "$site/index.html"
