// SPDX-License-Identifier: GPL-2.0-or-later

//! `my-rng info` and `my-rng list`.

use my_rng_e2e::Guest;
use my_rng_e2e::answers::{Kind, known, libc};
use serde_json::{Value, json};

use super::FAILED;
use crate::first_boot::{SECTIONS, section};

#[test]
fn devices_are_described() {
    let said = Guest::new()
        .program("as_nobody")
        .device("my_rng,addr=05.0")
        .device("my_rng,addr=06.0,generator=chacha20")
        .device("my_rng,addr=07.0,generator=host")
        .sh(&format!(
            "{SECTIONS}
             {FAILED}
             second=/dev/my_rng_driver1 third=/dev/my_rng_driver2
             my-rng seed 0x42; my-rng --device $second read --seed 0x42 --bytes 10 >/dev/null
             section before; my-rng read; my-rng --device $second read
             section info; my-rng info
             section json; my-rng --device $second info --format json
             section host; my-rng info --format json --device $third
             section after; my-rng read; my-rng --device $second read
             section list; my-rng list
             section all; my-rng list --format json
             section seedless; failed my-rng --device $third seed 1
             failed my-rng --device $third read --seed 1
             failed my-rng --device $third --seed 1
             section bytes; my-rng --device $third read --bytes 1M | wc -c
             my-rng --device $third | wc -l
             chmod 600 /dev/my_rng_driver*; chmod 666 $third
             section nobody; failed /as_nobody my-rng list
             section json nobody; failed /as_nobody my-rng list --format json
             exec 3<>$second
             echo 0000:00:06.0 >/sys/bus/pci/drivers/my_rng/unbind
             section left; my-rng list
             exec 3>&-
             rmmod my_rng
             for device in 5 6 7; do echo 1 >/sys/bus/pci/devices/0000:00:0$device.0/remove; done
             section none; failed my-rng list
             section no json; failed my-rng list --format json"
        ))
        .success();
    let (libc, chacha20) = (libc(0x42), known(Kind::ChaCha20, 0x42).first);
    // Ten bytes are three words.
    assert_eq!(
        section(&said, "before"),
        [libc[0], chacha20[3]].map(|word| word.to_string())
    );
    assert_eq!(
        section(&said, "after"),
        [libc[1], chacha20[4]].map(|word| word.to_string())
    );
    assert_eq!(
        section(&said, "info"),
        [
            "node:       /dev/my_rng_driver",
            "device:     0000:00:05.0",
            "driver:     my_rng",
            "generator:  libc (31-bit numbers from a seed: bit 31 is always 0)",
            "hwrng:      no",
            "bulk:       yes",
            "words:      1",
            "seeds:      1",
        ]
    );
    let parsed =
        |name| -> Value { serde_json::from_str(&section(&said, name).concat()).expect("JSON") };
    let second = json!({
        "node": "/dev/my_rng_driver1",
        "device": "0000:00:06.0",
        "driver": "my_rng",
        "generator": "chacha20",
        "bits": 32,
        "hwrng": false,
        "bulk": true,
        "words": 4,
        "seeds": 1,
    });
    assert_eq!(parsed("json"), second);
    // Whether and how much the kernel itself reads from it is up to the kernel.
    assert_eq!(parsed("host")["generator"], "host");
    assert_eq!(parsed("host")["bits"], 32);
    let line = |node, device, generator| {
        format!("/dev/my_rng_driver{node:1}  0000:00:{device}.0  {generator:8}  my_rng")
    };
    let list = [
        line("", "05", "libc"),
        line("1", "06", "chacha20"),
        line("2", "07", "host"),
    ];
    assert_eq!(section(&said, "list"), list);
    let all = parsed("all");
    let mut expected = second;
    expected["words"] = json!(5);
    assert_eq!(all[1], expected);
    assert_eq!(
        (&all[0]["node"], &all[2]["device"]),
        (&json!("/dev/my_rng_driver"), &json!("0000:00:07.0"))
    );
    assert_eq!(all.as_array().map(Vec::len), Some(3));

    let seedless = section(&said, "seedless");
    assert_eq!(seedless.len(), 6, "{seedless:#?}");
    for pair in seedless.chunks(2) {
        assert!(
            pair[0].contains("its generator `host` has no seed"),
            "{pair:?}"
        );
        assert_eq!(pair[1], "status 1");
    }
    // The classic rounds are printed, though they differ.
    assert_eq!(section(&said, "bytes"), ["1048576", "10"]);

    let nobody = section(&said, "nobody");
    assert_eq!(nobody.len(), 6, "{nobody:#?}");
    for node in ["/dev/my_rng_driver", "/dev/my_rng_driver1"] {
        let mut lines = nobody.iter();
        assert!(lines.any(|line| line.split_whitespace().eq([node, "-", "-", "-"])));
        let error = format!("my-rng: cannot open {node}: permission denied; ");
        let mut lines = nobody.iter();
        assert!(lines.any(|line| line.starts_with(&error)), "{nobody:#?}");
    }
    let third = ["/dev/my_rng_driver2", "0000:00:07.0", "host", "my_rng"];
    let mut lines = nobody.iter();
    assert!(
        lines.any(|line| line.split_whitespace().eq(third)),
        "{nobody:#?}"
    );
    assert_eq!(nobody[5], "status 4");
    assert!(
        section(&said, "json nobody")
            .concat()
            .contains("\"error\": \"cannot open ")
    );
    let unbound = "pci:0000:00:06.0     0000:00:06.0  chacha20  no driver";
    assert_eq!(section(&said, "left"), [&list[0], &list[2], unbound]);
    for (name, beginning) in [("none", &[][..]), ("no json", &["[]"])] {
        let none = section(&said, name);
        let (last, rest) = none.split_last().expect("a status");
        assert_eq!(*last, "status 3");
        // stdout and stderr come in any order.
        assert_eq!(rest.len(), beginning.len() + 1, "{none:#?}");
        assert!(
            beginning.iter().all(|line| rest.contains(line)),
            "{none:#?}"
        );
        assert!(none.concat().contains("start QEMU with"), "{none:#?}");
    }
}
