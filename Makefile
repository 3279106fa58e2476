# SPDX-License-Identifier: GPL-2.0-or-later
#
# The front door, and thin: all work is done by scripts/. `make help` lists what there is; what
# stands behind ## here is what it prints.

# Variables with such general names count only on make's command line, from where they reach the scripts as
# MY_RNG_NAME. Somebody's environment may have them for something else; there, MY_RNG_NAME is what counts.
general := BUILD CMD DESTDIR FORCE FRESH JOBS LIMIT PACKAGES PREFIX PUBLISH QUICK ROUNDS SECONDS
# As they were given: the $ in CMD are for the guest's shell.
$(foreach name,$(general),$(if $(filter command,$(origin $(name))),\
	$(eval export MY_RNG_$(name) := $$(value $(name)))))
unexport $(general)

# One thing after the other: each uses all processors by itself.
.NOTPARALLEL:

steps := packages toolchain programs qemu linux module initramfs
.PHONY: all demo test check-long matrix fuzz run shell debian-vm screenshots install uninstall bench clean distclean help \
	where guest $(steps)

all: ## build everything that is not built as it now should be (the default)
	@scripts/build.sh all
	@echo "All is built: make demo shows it at work, make -s where says where it is."

demo: ## build, boot the guest, show what it says, check it: ends with a verdict
	@scripts/demo.sh

test: ## format, lints, unit tests, build, overlay on and off, QEMU's own tests, guests, Debian
	@scripts/test.sh

check-long: ## what takes longer: fuzzing, libvirt, a new device, every Linux, a debug kernel, a bare Debian
	@scripts/check-long.sh

matrix: ## build and test the devices in each of QEMU_VERSIONS='8.2 10.0 ...'; ends with a table
	@scripts/matrix.sh

fuzz: ## fuzz the devices, and my_rng against its oracle: each target SECONDS=60 long
	@scripts/fuzz.sh

run: ## run CMD='...' in the guest, whose shell reads it (vm/run does, too, and exits with its status)
	@scripts/run.sh command

shell: ## an interactive guest: a shell, lspci and the usual small tools
	@scripts/run.sh shell

debian-vm: ## Debian with the device, the driver and the app: makes its disk and boots it
	@scripts/debian-vm.sh boot

screenshots: ## take the pictures of docs/pictures/ anew, of Debian's screen
	@scripts/screenshots.sh

where: ## print what is built, where it is, and where its source came from
	@scripts/run.sh where

bench: ## measure it beside its twins in C and all else (QUICK=1: in 3 minutes): tables, charts, JSON
	@scripts/bench.sh

install: ## copy what is built to PREFIX=DIR: QEMU, the app, and kernel, module and initramfs of a guest
	@scripts/install.sh

uninstall: ## remove what install has put into PREFIX=DIR
	@scripts/install.sh uninstall

packages: ## one step of the build: the distribution's packages
toolchain: ## one step: the Rust toolchain
programs: ## one step: the app, init, vm-run, qemu-overlay
qemu: ## one step: QEMU with the devices
linux: ## one step: the guest's kernel
module: ## one step: the driver (of a kernel that is built)
initramfs: ## one step: the guest's files, packed
$(steps):
	@scripts/build.sh $@

guest: ## the guest's own: programs, linux, module, initramfs
	@scripts/build.sh programs linux module initramfs

clean: ## remove what was built; downloads stay in the cache
	@scripts/clean.sh

distclean: ## remove what was built, and the downloads in the cache too
	@scripts/clean.sh all

help: ## this list
	@scripts/help.sh
