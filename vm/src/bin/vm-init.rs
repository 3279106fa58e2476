// SPDX-License-Identifier: GPL-2.0-or-later

//! The guest's init.

fn main() {
    my_rng_vm::init::main()
}
