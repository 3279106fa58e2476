// SPDX-License-Identifier: GPL-2.0-or-later

//! The series that tables and charts show, with their labels.

/// A mebibyte, as the names of series have it.
pub const MIB: &str = "1048576";

/// The latencies.
pub const LATENCIES: [(&str, &str); 10] = [
    ("mmio.rng", "MMIO, my_rng: RNG"),
    ("mmio.other", "MMIO, another my_rng: RNG"),
    ("mmio.twin", "MMIO, the twin in C: RNG"),
    ("mmio.info", "MMIO, my_rng: INFO"),
    ("mmio.edu", "MMIO, edu: identification"),
    ("ioctl.rand.rust", "ioctl RAND, the driver"),
    ("ioctl.rand.c", "ioctl RAND, its twin in C"),
    ("ioctl.seed.rust", "ioctl SEED, the driver"),
    ("ioctl.seed.c", "ioctl SEED, its twin in C"),
    ("clock", "nothing: the clock itself"),
];

/// The latencies in a kernel that inlines its C helpers into Rust code.
pub const INLINE: [(&str, &str); 4] = [
    (
        "inline.ioctl.rand.rust",
        "ioctl RAND, the driver, helpers inlined",
    ),
    (
        "inline.ioctl.rand.c",
        "ioctl RAND, its twin in C, the same kernel",
    ),
    (
        "inline.ioctl.seed.rust",
        "ioctl SEED, the driver, helpers inlined",
    ),
    (
        "inline.ioctl.seed.c",
        "ioctl SEED, its twin in C, the same kernel",
    ),
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
pub const HOWS: [(&str, &str); 3] = [
    ("fill.262144", "zero-copy, 256 KiB"),
    ("read.65536", "read() of 64 KiB"),
    ("read.1048576", "read() of 1 MiB"),
];

/// The generators of which readers share one device, and whether it serves them in parallel.
pub const SHARED: [(&str, bool); 3] = [("chacha8", true), ("host", true), ("xoshiro256pp", false)];

/// The generators that keep one device busy while a register of another is read: the fastest, and the slowest.
pub const BUSY: [&str; 2] = ["xoshiro256pp", "host"];

/// The name of the series of so many readers.
pub fn readers(how: &str, kind: &str, count: u32) -> String {
    format!("readers.{how}.{kind}.{count}")
}

/// The bars of the chart of readers.
pub fn readers_chart() -> Vec<(String, String)> {
    let mut bars = Vec::new();
    for (how, label) in HOWS {
        for (kind, count, what) in [
            ("own", 1, "1 reader"),
            ("own", 2, "2 readers"),
            ("own.off", 2, "2, parallel=off"),
            ("own", 4, "4 readers"),
        ] {
            bars.push((
                format!("{}.total", readers(how, kind, count)),
                format!("{label}: {what}"),
            ));
        }
    }
    bars
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
