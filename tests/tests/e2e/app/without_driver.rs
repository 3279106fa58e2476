// SPDX-License-Identifier: GPL-2.0-or-later

//! The app in a guest without the driver: it uses the device through sysfs, and leaves it as it was.

use my_rng_e2e::answers::{Kind, known, libc, rounds, sha256sum};
use my_rng_e2e::arch::facts;
use my_rng_e2e::{Finished, Guest, Qmp};
use serde_json::{Value, json};

use super::FAILED;
use crate::first_boot::{SECTIONS, section};

/// Shell functions: `state` prints what the app changes while it uses the device in `$sys`. `hold` starts an app that
/// uses it, and `release SIGNAL` ends this app.
const STATE: &str = r#"
    sys=$(device) address=$(basename $sys)
    state() { cat $sys/enable $sys/driver_override; }
    mkfifo /fifo
    hold() {
        my-rng -d pci read --bytes 1T >/fifo 2>/errors & app=$!
        exec 3</fifo
        head -c 4 <&3 >/dev/null
    }
    release() {
        kill -$1 $app
        cat <&3 >/dev/null
        local status=0; wait $app || status=$?; echo "status $status"
    }
"#;

/// Before and after.
const UNTOUCHED: [&str; 2] = ["0", "(null)"];
/// While an app uses the device.
const IN_USE: [&str; 2] = ["1", "my_rng_without_driver"];

fn run(device: &str, script: &str) -> Finished {
    Guest::new()
        .switch("--no-module")
        .device(device)
        .program("as_nobody")
        .sh(&format!("{SECTIONS}{FAILED}{STATE}{script}"))
        .success()
}

#[test]
fn numbers_are_the_same_as_with_the_driver() {
    const ODD: usize = 1_000_003;
    for (kind, bits) in [(Kind::Libc, 31), (Kind::ChaCha20, 32)] {
        let said = run(
            &format!("my_rng,addr=2,generator={kind}"),
            &format!(
                "section node; failed my-rng
                 section classic; my-rng -d pci
                 section first; my-rng -d pci --seed 0x42 read -n 5
                 export MY_RNG_DEVICE=pci:$address
                 section thousandth; my-rng --seed 0x42 read 1000 | tail -n 1
                 section odd; my-rng read --seed 0x42 --bytes {ODD} -o /bytes; sha256sum </bytes
                 section fill; my-rng read --seed 0x42 --bytes 4M | sha256sum
                 section json; my-rng info --format json
                 section list; my-rng list
                 section state; state
                 section nobody; failed /as_nobody my-rng read
                 section untouched; state
                 section error; my-rng seed 0x42; failed my-rng -d pci:00:1f.7 read; my-rng read"
            ),
        );
        let node = section(&said, "node");
        assert!(node[0].contains("open `pci` instead as root"), "{node:?}");
        assert_eq!(node[1], "status 3");

        let answer = known(kind, 0x42);
        if kind == Kind::Libc {
            assert_eq!(section(&said, "classic"), rounds(&libc(0)));
        }
        let first = answer.first.map(|number| number.to_string());
        assert_eq!(section(&said, "first"), first);
        let thousandth = answer.thousandth.to_string();
        assert_eq!(section(&said, "thousandth"), [thousandth]);
        assert_eq!(section(&said, "odd"), [sha256sum(kind, 0x42, ODD)]);
        assert_eq!(section(&said, "fill"), [sha256sum(kind, 0x42, 4 << 20)]);

        let address = "0000:00:02.0";
        let info: Value = serde_json::from_str(&section(&said, "json").concat()).expect("JSON");
        assert_eq!(
            info,
            json!({
                "node": format!("pci:{address}"),
                "device": address,
                "driver": null,
                "generator": kind.to_string(),
                "bits": bits,
                "hwrng": false,
                "bulk": false,
                "words": null,
                "seeds": null,
            })
        );
        assert_eq!(
            section(&said, "list"),
            [format!("pci:{address}  {address}  {kind}  no driver")]
        );
        let nobody = section(&said, "nobody");
        assert!(nobody[0].contains("permission denied; "), "{nobody:?}");
        assert_eq!(nobody[1], "status 4");
        for state in ["state", "untouched"] {
            assert_eq!(section(&said, state), UNTOUCHED);
        }
        // A mistake takes no number.
        let error = section(&said, "error");
        assert_eq!(error[1..], ["status 3", &first[0]], "{error:?}");
    }
}

#[test]
fn drivers_and_programs_are_kept_off_an_open_device() {
    let said = run(
        "my_rng",
        "hold
         section in use; state
         section second; failed my-rng -d pci read; state
         insmod /lib/modules/my_rng.ko
         section no node; ls /dev | grep my_rng || echo none
         section term; release TERM
         # The driver, which came too late, has got the device.
         section bound; cat $sys/enable $sys/driver_override; ls /dev/my_rng*
         section refused; failed my-rng -d pci read; failed my-rng -d pci:$address read
         section node; my-rng read --seed 0x42
         echo $address >/sys/bus/pci/drivers/my_rng/unbind
         section unbound; my-rng -d pci --seed 0x42 read; state
         section bind; echo $address >/sys/bus/pci/drivers/my_rng/bind; my-rng --seed 0x42 read
         rmmod my_rng
         hold
         section kill; release KILL 2>/dev/null; state
         insmod /lib/modules/my_rng.ko
         section left; failed my-rng read
         section clean; my-rng -d pci:$address --seed 0x42 read; state
         section end; my-rng --seed 0x42 read",
    );
    assert_eq!(section(&said, "in use"), IN_USE);
    let second = section(&said, "second");
    assert!(
        second[0].contains("another program uses it; "),
        "{second:?}"
    );
    assert_eq!(second[1..], ["status 1", IN_USE[0], IN_USE[1]]);
    assert_eq!(section(&said, "no node"), ["none"]);
    assert_eq!(section(&said, "term"), ["status 143"]);
    assert_eq!(
        section(&said, "bound"),
        ["1", "(null)", "/dev/my_rng_driver"]
    );
    let refused = section(&said, "refused");
    assert_eq!(refused.len(), 4, "{refused:?}");
    for pair in refused.chunks(2) {
        assert!(
            pair[0]
                .ends_with("the driver my_rng uses the device; use its node, /dev/my_rng_driver"),
            "{pair:?}"
        );
        assert_eq!(pair[1], "status 1");
    }
    let first = libc(0x42)[0].to_string();
    for name in ["node", "bind", "end"] {
        assert_eq!(section(&said, name), [&first], "{name}");
    }
    assert_eq!(
        section(&said, "unbound"),
        [&first, UNTOUCHED[0], UNTOUCHED[1]]
    );
    // What SIGKILL leaves behind keeps the driver off, too.
    assert_eq!(section(&said, "kill"), ["status 137", IN_USE[0], IN_USE[1]]);
    let left = section(&said, "left");
    assert!(left[0].contains("or one was killed"), "{left:?}");
    assert_eq!(left[1], "status 3");
    // Then the driver gets the device.
    assert_eq!(section(&said, "clean"), [&first, "1", "(null)"]);
}

/// `enable` counts, and only the first one switches the device's memory on.
#[test]
fn other_users_of_enable_are_respected() {
    let said = run(
        "my_rng",
        "echo 1 >$sys/enable
         echo vfio-pci >$sys/driver_override
         section enabled; my-rng -d pci --seed 0x42 read; state
         # Switch the memory off.
         printf '\\0\\0' | dd of=$sys/config bs=1 seek=4 conv=notrunc 2>/dev/null
         section off; failed my-rng -d pci read; state
         # Do what the message says.
         echo 1 >$sys/remove; echo 1 >/sys/bus/pci/rescan
         section found; my-rng -d pci --seed 0x42 read; state",
    );
    let first = libc(0x42)[0].to_string();
    assert_eq!(section(&said, "enabled"), [&first, "1", "vfio-pci"]);
    let off = section(&said, "off");
    assert!(off[0].contains("it does not answer (all ones)"), "{off:?}");
    assert_eq!(off[1..], ["status 5", "1", "vfio-pci"]);
    let found = section(&said, "found");
    assert_eq!(found, [&first, UNTOUCHED[0], UNTOUCHED[1]]);
}

#[test]
fn device_that_is_unplugged_is_noticed() {
    let guest = Guest::new();
    let socket = guest.folder().join("qmp");
    let script = format!(
        "{SECTIONS}{FAILED}{STATE}
         hold
         echo held
         cat <&3 >/dev/null
         status=0; wait $app || status=$?
         section end; echo \"status $status\"; cat /errors
         section again; failed my-rng -d pci read"
    );
    let bus = facts().hotplug_bus.map(|bus| format!(",bus={bus}"));
    let device = format!("my_rng,id=plugged{}", bus.unwrap_or_default());
    let mut run = guest
        .switch("--no-module")
        .switch("--hotplug")
        .option("--qmp", &socket)
        .device(&device)
        .start(&["sh", "-ec", &script]);
    run.wait_for_line("held");
    Qmp::connect(&socket).execute("device_del", json!({ "id": "plugged" }));
    let said = run.finish().success();
    let end = section(&said, "end");
    assert_eq!(end[0], "status 5");
    assert!(end[1].contains(": the device is gone; "), "{end:?}");
    let again = section(&said, "again");
    assert!(again[0].contains("start QEMU with"), "{again:?}");
    assert_eq!(again[1], "status 3");
}
