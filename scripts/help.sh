#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/help.sh: what make can do here, from the comments in the Makefile.
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." || exit
# shellcheck source=scripts/series.sh
. scripts/series.sh
cat <<'END'
my_rng: a random number generator as a PCI device of QEMU, and all that a guest needs to use it.

make TARGET [NAME=VALUE...]

END
sed -n 's/^\([a-z-]*\): ## \(.*\)/  \1\t\2/p' Makefile | while IFS=$'\t' read -r target words; do
    printf '  %-11s %s\n' "${target#  }" "$words"
done
cat <<END

Sources (otherwise: the cache, the releases, the distribution's source packages):
  QEMU_SRC=DIR    QEMU_TARBALL=FILE    QEMU $(qemu_wanted) (another: FORCE=1)
  LINUX_SRC=DIR   LINUX_TARBALL=FILE   Linux 7.3.x
  DEBIAN_MIRROR=URL  DEBIAN_SUITE=NAME  for debian-vm (default: the mirror and the release of this machine)
Places:
  BUILD=DIR             where to build (default: build/ here)
  XDG_CACHE_HOME=DIR    downloads are kept in its my_rng/ (default: ~/.cache)
  PREFIX=DIR            for install and uninstall; DESTDIR=DIR is put in front of it
Other:
  QEMU_VERSIONS=LIST    the series of QEMU for matrix, also unknown ones (default: $(qemu_series | paste -sd ' '))
  QEMU_CONFIGURATIONS=LIST  how matrix configures QEMU: plain lto dtrace debug modules targets rust cross
                        (default: all of them)
  ACCEL=auto|kvm|tcg    what runs the guest (default: KVM if a guest really runs on it, else TCG)
  QUICK=1               for bench: in less than 3 minutes; ROUNDS=N: how often all is measured (default: 15)
  PUBLISH=1             for bench: writes docs/benchmarks.md and its charts anew
  FRESH=1               for bench: measures a build from nothing, too
  SECONDS=N             how long fuzz runs each target (default: 60)
  JOBS=N                how many jobs at once (default: one for each processor)
  LIMIT=N               ends a step that takes longer than N seconds (default: 10800)
  PACKAGES=tell         installs no package, but says which are missing
In the environment, BUILD, CMD, DESTDIR, FORCE, FRESH, JOBS, LIMIT, PACKAGES, PREFIX, PUBLISH, QUICK, ROUNDS
and SECONDS have MY_RNG_ in front: MY_RNG_BUILD=DIR.
END
