# SPDX-License-Identifier: GPL-2.0-or-later
#
# A thin front of scripts/, which do all the work. `make help` prints the targets and the comments after ##.

# These names are so general that only make's command line counts: an environment may have them for something else.
# The scripts get them as MY_RNG_NAME, which the environment may also set.
general := ARCH BASELINE BUILD CMD DESTDIR FORCE FRESH JOBS LIMIT PACKAGES PREFIX PUBLISH QUICK ROUNDS SECONDS
# Unexpanded: a $ in CMD is for the guest's shell.
$(foreach name,$(general),$(if $(filter command,$(origin $(name))),\
	$(eval export MY_RNG_$(name) := $$(value $(name)))))
unexport $(general)

# Each target uses all processors by itself.
.NOTPARALLEL:

steps := build-deps toolchain programs qemu linux module initramfs
.PHONY: all demo test check-long matrix fuzz run shell debian-vm screenshots packages install uninstall bench clean distclean \
	help debug docs where guest $(steps)

all: ## build everything that is not up to date (the default)
	@scripts/build.sh
	@echo "Everything is built: make demo shows it at work, make -s where prints where it is."

demo: ## build, boot the guest, show what it prints, check it: ends with PASS or FAIL
	@scripts/task.sh demo

test: ## format, lints, unit tests, build, overlay on and off, QEMU's own tests, guests, Debian
	@scripts/test.sh

check-long: ## longer tests: guests of all architectures, documentation, fuzzing, migrations, libvirt, disks, a new device, every Linux, a debug kernel, a bare Debian
	@scripts/test.sh long

matrix: ## build and test the devices in each of QEMU_VERSIONS='8.2 10.0 ...'; ends with a table
	@scripts/matrix.sh

fuzz: ## fuzz the devices, and my_rng against its oracle: each target SECONDS=60 long
	@scripts/fuzz.sh

run: ## run CMD='...' in the guest's shell; vm/run does the same, and exits with its status
	@scripts/task.sh run

shell: ## an interactive guest: a shell, lspci and the usual small tools
	@scripts/task.sh shell

debian-vm: ## make a disk with Debian, the driver and the app, and boot it with the device
	@scripts/debian-vm.sh boot

screenshots: ## take the pictures of docs/pictures/ again, from Debian's screen
	@scripts/task.sh screenshots

debug: ## gdb on QEMU with a guest; stops where the guest first reads the device
	@scripts/debug.sh

docs: ## make a site of docs/ and the README.md files, in build/docs
	@scripts/docs.sh

where: ## print what is built, where it is, and where its source came from
	@scripts/task.sh where

bench: ## measure beside twins in C and other sources (QUICK=1: 2 minutes): tables, charts, JSON
	@scripts/bench.sh

packages: ## make Debian packages of the app and of QEMU, in build/packages
	@scripts/build-packages.sh

install: ## copy what is built to PREFIX=DIR: QEMU, the app, and kernel, module and initramfs of a guest
	@scripts/install.sh

uninstall: ## remove from PREFIX=DIR what install put there
	@scripts/install.sh uninstall

build-deps: ## one step of the build: the distribution's packages that it needs
toolchain: ## one step: the Rust toolchain
programs: ## one step: the app, init, vm-run, qemu-overlay
qemu: ## one step: QEMU with the devices
linux: ## one step: the guest's kernel
module: ## one step: the driver, for the kernel that is built
initramfs: ## one step: the guest's files, packed
$(steps):
	@scripts/build.sh $@

guest: ## the guest's steps: programs, linux, module, initramfs
	@scripts/build.sh programs linux module initramfs

clean: ## remove what was built; downloads stay in the cache
	@scripts/task.sh clean

distclean: ## remove what was built, and the downloads in the cache
	@scripts/task.sh distclean

help: ## print this list
	@scripts/task.sh help
