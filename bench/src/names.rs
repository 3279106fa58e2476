// SPDX-License-Identifier: GPL-2.0-or-later

//! The series that tables and charts show, with their labels.

/// A mebibyte, as the names of series have it.
pub const MIB: &str = "1048576";

/// The latencies.
pub const LATENCIES: [(&str, &str); 9] = [
    ("mmio.rng", "MMIO, my_rng: RNG"),
    ("mmio.other", "MMIO, another my_rng: RNG"),
    ("mmio.twin", "MMIO, the twin in C: RNG"),
    ("mmio.info", "MMIO, my_rng: INFO"),
    ("mmio.edu", "MMIO, edu: identification"),
    ("ioctl.rand.rust", "ioctl RAND, the driver"),
    ("ioctl.rand.c", "ioctl RAND, its twin in C"),
    ("ioctl.seed.rust", "ioctl SEED, the driver"),
    ("ioctl.seed.c", "ioctl SEED, its twin in C"),
];

/// The sources of bytes; the generators come first.
pub const SOURCES: [(&str, &str); 9] = [
    ("xoshiro256pp", "my_rng, xoshiro256pp"),
    ("chacha8", "my_rng, chacha8"),
    ("chacha20", "my_rng, chacha20"),
    ("libc", "my_rng, libc"),
    ("host", "my_rng, host"),
    ("tmpfs", "a file in tmpfs"),
    ("zero", "/dev/zero"),
    ("urandom", "/dev/urandom"),
    ("virtio", "virtio-rng (/dev/hwrng)"),
];

/// The generators, the fastest first.
pub fn generators() -> impl Iterator<Item = &'static str> {
    SOURCES.iter().take(5).map(|(generator, _)| *generator)
}

/// The generators that are made to be fast, and how many MB/s each must give without a copy.
pub const FAST: [(&str, f64); 2] = [("chacha8", 2000.0), ("xoshiro256pp", 4000.0)];

/// The times that `scripts/bench.sh` takes.
pub const TIMES: [(&str, &str); 3] = [
    ("time.fresh", "from nothing to the verdict of the demo"),
    ("time.edit", "from an edit of rust-dev to the verdict"),
    ("time.boot", "from QEMU's start to END MY-RNG TEST, TCG"),
];

/// How readers get their numbers.
pub const HOWS: [(&str, &str); 2] = [("read", "read()"), ("fill", "zero-copy")];

/// Many readers at once.
pub fn readers() -> Vec<(String, String)> {
    let mut readers = Vec::new();
    for (how, name) in HOWS {
        for (kind, of, counts) in [
            ("own", "each with its own device", &[1, 2, 4, 8, 30][..]),
            ("same", "all with the same device", &[2, 4]),
        ] {
            for count in counts {
                let label = match count {
                    1 => format!("{name}, 1"),
                    _ => format!("{name}, {count}, {of}"),
                };
                readers.push((format!("readers.{how}.{kind}.{count}"), label));
            }
        }
    }
    readers
}

/// The bars of the chart of throughput.
pub fn throughputs() -> Vec<(String, String)> {
    let fast = FAST.iter().flat_map(|(generator, _)| {
        [
            (
                format!("native.{generator}"),
                format!("{generator}, native on the host"),
            ),
            (
                format!("fill.{generator}.262144"),
                format!("my_rng, {generator}, zero-copy 256 KiB"),
            ),
        ]
    });
    let reads = SOURCES.iter().map(|(source, label)| {
        (
            format!("read.{source}.{MIB}"),
            format!("{label}, read() 1 MiB"),
        )
    });
    fast.chain(reads).collect()
}
