# SPDX-License-Identifier: GPL-2.0-or-later

# All that QEMU has by default, and the example of a device in Rust:
#   ./configure --target-list=x86_64-softmmu --with-devices-x86_64=my-counter
include default.mak
CONFIG_MY_COUNTER=y
