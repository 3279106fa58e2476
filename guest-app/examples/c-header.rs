// SPDX-License-Identifier: GPL-2.0-or-later

//! Generates the header for C programs from `abi/my_rng_abi.rs`:
//!
//! ```sh
//! cargo run -p my-rng --example c-header >guest-app/include/my_rng.h
//! ```
//!
//! The values are the compiled constants, so the file may use any constant expression. The comments are the
//! file's `///` lines.

use my_rng::abi;

const ABI: &str = include_str!("../../abi/my_rng_abi.rs");

const BEGINNING: &str = "\
/* SPDX-License-Identifier: GPL-2.0-or-later OR MIT */
/*
 * The my_rng device and its Linux driver, for programs in C and C++. docs/my-rng.rst specifies the device,
 * docs/linux-driver.md the driver.
 *
 * Generated from abi/my_rng_abi.rs. Change that file, then run
 *     cargo run -p my-rng --example c-header >guest-app/include/my_rng.h
 */
#ifndef MY_RNG_H
#define MY_RNG_H

#include <sys/ioctl.h>
";

const END: &str = "\n#endif\n";

fn main() {
    print!("{}", header());
}

/// Returns the header.
pub fn header() -> String {
    let mut header = BEGINNING.to_owned();
    let mut comment = Vec::new();
    for line in ABI.lines() {
        if let Some(text) = line.strip_prefix("/// ") {
            comment.push(text.to_owned());
        } else if let Some(name) = item(line) {
            header.push('\n');
            header.push_str(&commented(&comment));
            for definition in definitions(name) {
                header.push_str(&format!("#define MY_RNG_{definition}\n"));
            }
            comment.clear();
        } else {
            comment.clear();
        }
    }
    header.push_str(END);
    header
}

/// Returns the name of the public constant or function that `line` begins.
pub fn item(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub const ")?;
    let rest = rest.strip_prefix("fn ").unwrap_or(rest);
    rest.split([':', '(']).next()
}

/// Returns the lines as a C comment.
fn commented(lines: &[String]) -> String {
    // rustdoc's links name items of the file; in C they are macros.
    let mut text = String::new();
    for (index, part) in lines.join("\n").split("[`").enumerate() {
        match part.split_once("`]") {
            Some(("info", rest)) => text.push_str(&format!("MY_RNG_INFO(){rest}")),
            Some((name, rest)) if index > 0 => text.push_str(&format!("MY_RNG_{name}{rest}")),
            _ => text.push_str(part),
        }
    }
    match text.lines().count() {
        0 => String::new(),
        1 => format!("/* {text} */\n"),
        _ => format!("/*\n * {}\n */\n", text.replace('\n', "\n * ")),
    }
}

/// Returns what follows `#define MY_RNG_` for a public item of the file.
fn definitions(name: &str) -> Vec<String> {
    let value = match name {
        "PCI_VENDOR_ID" => format!("{:#06x}", abi::PCI_VENDOR_ID),
        "PCI_DEVICE_ID" => format!("{:#06x}", abi::PCI_DEVICE_ID),
        "PCI_REVISION" => format!("{:#04x}", abi::PCI_REVISION),
        "PCI_CLASS" => format!("{:#06x}", abi::PCI_CLASS),
        "BAR" => abi::BAR.to_string(),
        "BAR_SIZE" => abi::BAR_SIZE.to_string(),
        "REG_SIZE" => abi::REG_SIZE.to_string(),
        "REG_RNG" => format!("{:#x}", abi::REG_RNG),
        "REG_SEED" => format!("{:#x}", abi::REG_SEED),
        "REG_INFO" => format!("{:#x}", abi::REG_INFO),
        "REG_DOORBELL" => format!("{:#x}", abi::REG_DOORBELL),
        "REG_FAILURES" => format!("{:#x}", abi::REG_FAILURES),
        "INFO_SIGNATURE" => format!("{:#06x}", abi::INFO_SIGNATURE),
        "GENERATOR_LIBC" => abi::GENERATOR_LIBC.to_string(),
        "GENERATOR_CHACHA20" => abi::GENERATOR_CHACHA20.to_string(),
        "GENERATOR_HOST" => abi::GENERATOR_HOST.to_string(),
        "GENERATOR_CHACHA8" => abi::GENERATOR_CHACHA8.to_string(),
        "GENERATOR_XOSHIRO256PP" => abi::GENERATOR_XOSHIRO256PP.to_string(),
        "INFO_BULK" => format!("{:#x}u", abi::INFO_BULK),
        "INFO_FAILURES" => format!("{:#x}u", abi::INFO_FAILURES),
        "info" => return info(),
        "BULK_PAGE" => abi::BULK_PAGE.to_string(),
        "BULK_STATUS" => format!("{:#x}", abi::BULK_STATUS),
        "BULK_COUNT" => format!("{:#x}", abi::BULK_COUNT),
        "BULK_DONE" => format!("{:#x}", abi::BULK_DONE),
        "BULK_SEGMENTS" => format!("{:#x}", abi::BULK_SEGMENTS),
        "BULK_SEGMENT_SIZE" => format!("{:#x}", abi::BULK_SEGMENT_SIZE),
        "BULK_MAX_SEGMENTS" => abi::BULK_MAX_SEGMENTS.to_string(),
        "BULK_MAX_BYTES" => abi::BULK_MAX_BYTES.to_string(),
        "BULK_FILLED" => abi::BULK_FILLED.to_string(),
        "BULK_BAD_DESCRIPTOR" => abi::BULK_BAD_DESCRIPTOR.to_string(),
        "BULK_BAD_MEMORY" => abi::BULK_BAD_MEMORY.to_string(),
        "BULK_NO_ENTROPY" => abi::BULK_NO_ENTROPY.to_string(),
        "DEFAULT_SEED" => abi::DEFAULT_SEED.to_string(),
        "NODE_NAME" => {
            return vec![
                format!("NODE_NAME \"{}\"", abi::NODE_NAME),
                format!("NODE \"/dev/{}\"", abi::NODE_NAME),
            ];
        }
        "IOCTL_TYPE" => format!("{:?}", char::from_u32(abi::IOCTL_TYPE).expect("a letter")),
        "IOCTL_NR" => abi::IOCTL_NR.to_string(),
        "IOCTL_FILL_NR" => abi::IOCTL_FILL_NR.to_string(),
        "IOCTL_RAND" => ioctl(abi::IOCTL_RAND),
        "IOCTL_SEED" => ioctl(abi::IOCTL_SEED),
        "IOCTL_FILL" => ioctl(abi::IOCTL_FILL),
        _ => panic!("abi/my_rng_abi.rs has a new {name}: add its C value to examples/c-header.rs"),
    };
    vec![format!("{name} {value}")]
}

/// Returns the macros of the register INFO, with the layout taken from `abi::info`.
fn info() -> Vec<String> {
    let signature = (abi::info(0) / u32::from(abi::INFO_SIGNATURE)).ilog2();
    let generator = abi::info(u8::MAX) - abi::info(0);
    assert_eq!(
        abi::info(u8::MAX),
        u32::from(abi::INFO_SIGNATURE) << signature | generator,
        "the layout of INFO has changed: update this function"
    );
    vec![
        format!(
            "INFO(generator) (((unsigned int)MY_RNG_INFO_SIGNATURE << {signature}) | (generator))"
        ),
        format!("INFO_IS_THERE(info) (((info) >> {signature}) == MY_RNG_INFO_SIGNATURE)"),
        format!("INFO_GENERATOR(info) ((info) & {generator:#x})"),
    ]
}

/// Returns the macro call that yields this ioctl number.
fn ioctl(number: u32) -> String {
    let direction = match number >> 30 {
        1 => "_IOW",
        2 => "_IOR",
        other => panic!("{number:#x} has the direction {other}: add its C macro here"),
    };
    let kind = match number >> 16 & 0x3fff {
        4 => "unsigned int",
        8 => "unsigned int[2]",
        size => panic!("{number:#x} has an argument of {size} bytes: add its C type here"),
    };
    let letter = char::from_u32(number >> 8 & 0xff).expect("a letter");
    format!("{direction}({letter:?}, {}, {kind})", number & 0xff)
}
