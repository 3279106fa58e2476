// SPDX-License-Identifier: GPL-2.0-or-later

//! The buffers of reads: the cgroup that they are charged to, callers that wait for one, and their wiping.

use std::fs;

use my_rng_dev::generator::{Generator, Kind};
use my_rng_e2e::arch::facts;
use my_rng_e2e::{Guest, Machine};
use serde_json::json;

#[test]
fn memory_of_a_file_is_charged_to_its_user() {
    Guest::new()
        .option("--smp", "2")
        .program("account")
        .sh("mkdir /cgroup; mount -t cgroup2 none /cgroup
             echo +memory >/cgroup/cgroup.subtree_control
             mkdir /cgroup/readers
             sh -c 'echo $$ >/cgroup/readers/cgroup.procs; exec /account /cgroup/readers'")
        .tap();
}

#[test]
fn stalled_readers_block_no_other_caller() {
    let guest = Guest::new();
    let disk = guest.folder().join("disk");
    fs::write(&disk, vec![0; 32 << 20]).expect("a disk");
    let disk = disk.display().to_string().replace(',', ",,");
    let drive = format!("file={disk},format=raw,if=none,id=disk");
    guest
        .option("--smp", "2")
        .qemu_args(["-drive", &drive, "-device", "virtio-blk-pci,drive=disk"])
        .program("stall")
        .sh(
            "mke2fs /dev/vda >/dev/null; mkdir /disk; mount -t ext4 /dev/vda /disk
             /stall /disk $(cat /sys/kernel/debug/my_rng/my_rng_driver/device)",
        )
        .tap();
}

#[test]
fn no_number_stays_in_kernel_memory() {
    const MEMORY: usize = 128 << 20;
    const SEED: u32 = 0x1234_5678;
    let mut guest = Machine::guest()
        .args(["-m", "128M"])
        .programs(&["forget"])
        .device("my_rng,generator=chacha20")
        .start();
    guest.console.shell();
    guest.console.run(&format!(
        "mkfifo /taken; /forget {SEED} >/taken & read _ </taken"
    ));
    let dump = guest.folder().join("memory");
    guest.qmp.execute(
        "pmemsave",
        json!({ "val": facts().memory, "size": MEMORY, "filename": dump }),
    );
    let memory = fs::read(&dump).expect("a dump");
    assert_eq!(memory.len(), MEMORY);

    let mut stream = Generator::new(Kind::ChaCha20, SEED);
    // Two numbers from the middle of each read.
    let middles = [16, 28, 512, 20000, 20000, 32].map(|length| {
        let words: Vec<u32> = (0..length / 4)
            .map(|_| stream.next_u32(|| None).expect("a number"))
            .collect();
        let middle = words.len() / 2;
        u64::from(words[middle + 1]) << 32 | u64::from(words[middle])
    });
    let mut found = [false; 6];
    // Numbers are aligned to their size.
    let mut before = 0;
    for bytes in memory.chunks_exact(4) {
        let word = u32::from_le_bytes(bytes.try_into().expect("4 bytes"));
        let numbers = u64::from(word) << 32 | u64::from(before);
        for (found, middle) in found.iter_mut().zip(&middles) {
            *found |= numbers == *middle;
        }
        before = word;
    }
    // Read by way of the stack, of an open file's buffer and a closed one's; and what the program kept.
    assert_eq!(found, [false, false, false, false, false, true]);
}
