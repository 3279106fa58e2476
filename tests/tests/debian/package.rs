// SPDX-License-Identifier: GPL-2.0-or-later

//! The Debian package of the app, in a system where the driver is at work.

use my_rng_e2e::answers::libc;
use my_rng_e2e::{Machine, build_folder};

use crate::{no_complaints, start};

/// A program with an open node keeps it while the package is installed, installed again and purged.
#[test]
fn package_comes_and_goes_while_a_node_is_open() {
    let package = format!("my-rng_{}_amd64.deb", env!("CARGO_PKG_VERSION"));
    let file = build_folder().join("packages").join(&package);
    assert!(file.is_file(), "run `make packages`");
    let machine = Machine::debian("").device("my_rng").device("my_rng");
    let mut debian = start(machine.disk_of_files(&[&file]));
    let console = &mut debian.console;
    console.run("tar -xf /dev/vdb && my-rng seed 0");
    // The disk has these files without a package. Without the rule, only root may open a node.
    console.run(
        "rm /usr/bin/my-rng /usr/share/man/man1/my-rng.1 /usr/lib/udev/rules.d/60-my_rng.rules",
    );
    console.run("udevadm control --reload");
    console.run("chown root:root /dev/my_rng_driver* && chmod 600 /dev/my_rng_driver*");
    console.run("exec 5</dev/my_rng_driver");

    let mut numbers = vec![];
    for command in [
        format!("install ./{package}"),
        format!("install --reinstall ./{package}"),
        "purge my-rng".to_owned(),
    ] {
        console.run(&format!(
            "apt-get -qq -y {command} >log 2>&1 || {{ cat log; false; }}"
        ));
        numbers.extend(console.run("head -c 4 <&5 | od -An -t u4"));
        // The rule also applies to nodes that were there before. A removal does not change them.
        let nodes = console.run("udevadm settle; stat --format '%a %U %G' /dev/my_rng_driver*");
        assert_eq!(nodes, ["660 root my_rng", "660 root my_rng"]);
    }
    let numbers: Vec<u32> = numbers
        .iter()
        .map(|number| number.trim().parse().expect("a number"))
        .collect();
    assert_eq!(numbers, libc(0)[..3]);
    let left =
        console.run("find / -xdev -name '*my?rng*' ! -path '/usr/lib/modules/*' ! -path '/root/*'");
    assert!(left.is_empty(), "{left:#?}");
    no_complaints(&mut debian);
    debian.quit();
}
