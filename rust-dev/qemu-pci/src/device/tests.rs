// SPDX-License-Identifier: GPL-2.0-or-later

use core::convert::Infallible;
use core::ffi::CStr;

use super::{
    Access, Bar, BarKind, Declare, Identity, Interrupts, MsiX, NOT_RUNNING, PciDevice, Rules,
    check, check_deadlines, cut,
};
use crate::host::Host;
use crate::register::GuestError;

#[test]
fn bar_constructors_set_kind_size_and_rules() {
    let memory = Bar::memory(2, 4096);
    assert_eq!(
        (memory.kind, memory.prefetchable),
        (BarKind::Memory32, false)
    );
    assert_eq!((memory.rules.sizes, memory.rules.largest), (4, 4));
    let wide = memory.wide().prefetchable();
    assert_eq!((wide.index, wide.size), (2, 4096));
    assert_eq!((wide.kind, wide.prefetchable), (BarKind::Memory64, true));
    let ports = Bar::io(3, 16);
    assert_eq!((ports.index, ports.size, ports.kind), (3, 16, BarKind::Io));
    assert_eq!((ports.rules.sizes, ports.rules.largest), (1, 1));
    assert_eq!(ports.with(Rules::sizes(3)).rules.largest, 2);
}

#[test]
fn invalid_bars_are_rejected() {
    for (bar, possible) in [
        (Bar::memory(0, 16), true),
        (Bar::memory(5, 4096), true),
        (Bar::memory(6, 4096), false),
        (Bar::memory(0, 0), false),
        (Bar::memory(0, 8), false),
        (Bar::memory(0, 4097), false),
        (Bar::memory(0, 1 << 31), true),
        (Bar::memory(0, 1 << 32), false),
        (Bar::memory(4, 1 << 62).wide(), true),
        (Bar::memory(5, 4096).wide(), false),
        (Bar::memory(0, 8).wide(), false),
        (Bar::memory(0, 1 << 63).wide(), false),
        (Bar::io(5, 4), true),
        (Bar::io(0, 256), true),
        (Bar::io(6, 4), false),
        (Bar::io(0, 2), false),
        (Bar::io(0, 512), false),
        (Bar::io(0, 4).prefetchable(), false),
    ] {
        assert_eq!(bar.is_possible(), possible, "{bar:?}");
    }
    assert_eq!(Bar::memory(2, 16).registers(), 0b100);
    assert_eq!(Bar::memory(2, 16).wide().registers(), 0b1100);
}

#[test]
fn rules_with_impossible_sizes_are_rejected() {
    let with = |sizes, largest| Rules {
        sizes,
        largest,
        ..Rules::WORDS
    };
    for (rules, possible) in [
        (with(15, 8), true),
        (with(3, 2), true),
        (with(1, 8), true),
        (with(0, 4), false),
        (with(16, 8), false),
        (with(4, 3), false),
        (with(4, 16), false),
        (with(4, 2), false),
        (with(8, 4), false),
    ] {
        assert_eq!(rules.is_possible(), possible, "{rules:?}");
    }
}

#[test]
fn rules_refuse_other_sizes_and_alignments() {
    let check = |rules: Rules, offset, size| {
        rules.check::<Infallible>(Access {
            bar: 0,
            offset,
            size,
        })
    };
    let aligned = Rules::sizes(4 | 8);
    assert_eq!(check(aligned, 4, 4), Ok(()));
    assert_eq!(check(aligned, 8, 8), Ok(()));
    assert_eq!(check(aligned, 4, 8), Err(GuestError::Unaligned));
    assert_eq!(check(aligned, 2, 4), Err(GuestError::Unaligned));
    for size in [0, 1, 2, 3, 5, 12, 16] {
        assert_eq!(check(aligned, 0, size), Err(GuestError::Size(12)), "{size}");
    }
    let unaligned = Rules {
        unaligned: true,
        ..aligned
    };
    assert_eq!(check(unaligned, 1, 8), Ok(()));
    assert_eq!(aligned.refused(7).refused, 7);
}

#[test]
fn values_are_cut_to_the_size_of_the_access() {
    let value = 0xffee_ddcc_bbaa_9988;
    for (size, expected) in [(1, 0x88), (2, 0x9988), (4, 0xbbaa_9988), (8, value)] {
        assert_eq!(cut(value, size), expected);
    }
}

const MSIX: Option<MsiX> = Some(MsiX { vectors: 3, bar: 1 });

#[test]
fn invalid_interrupts_are_rejected() {
    let msix = |vectors, bar| Interrupts {
        msix: Some(MsiX { vectors, bar }),
        ..Interrupts::PIN
    };
    let required = |interrupts| Interrupts {
        pin: false,
        msi_required: true,
        ..interrupts
    };
    for (interrupts, possible) in [
        (Interrupts::NONE, true),
        (Interrupts::PIN, true),
        (Interrupts::PIN.with_msi(1), true),
        (Interrupts::PIN.with_msi(32), true),
        (Interrupts::PIN.with_msi(3), false),
        (Interrupts::PIN.with_msi(64), false),
        (msix(1, 0), true),
        (msix(64, 5), true),
        (msix(0, 0), false),
        (msix(65, 0), false),
        (msix(1, 6), false),
        (required(msix(1, 0)), true),
        (required(Interrupts::NONE.with_msi(2)), true),
        // There is nothing to require.
        (required(Interrupts::NONE), false),
        // What would it do on a machine without MSI?
        (Interrupts::NONE.with_msi(1), false),
    ] {
        assert_eq!(interrupts.is_possible(), possible, "{interrupts:?}");
    }
}

#[test]
fn device_with_more_interrupts_than_its_type_is_refused() {
    let all = Interrupts {
        msix: MSIX,
        ..Interrupts::PIN.with_msi(4)
    };
    let only_msix = Interrupts {
        pin: false,
        msi: 0,
        msi_required: true,
        ..all
    };
    for interrupts in [
        Interrupts::NONE,
        Interrupts::PIN,
        Interrupts::PIN.with_msi(4),
        all,
        only_msix,
    ] {
        assert!(interrupts.is_within(&all), "{interrupts:?}");
    }
    for (interrupts, most) in [
        (Interrupts::PIN, only_msix),
        (Interrupts::PIN.with_msi(8), all),
        (all, Interrupts::PIN.with_msi(4)),
        (
            Interrupts {
                msix: Some(MsiX { vectors: 2, bar: 1 }),
                ..all
            },
            all,
        ),
        (Interrupts::PIN.with_msi(3), all),
    ] {
        assert!(!interrupts.is_within(&most), "{interrupts:?}");
    }
}

#[test]
fn vectors_is_the_largest_of_all_kinds() {
    for (interrupts, vectors) in [
        (Interrupts::NONE, 0),
        (Interrupts::PIN, 1),
        (Interrupts::PIN.with_msi(4), 4),
        (
            Interrupts {
                msix: MSIX,
                ..Interrupts::PIN.with_msi(2)
            },
            3,
        ),
    ] {
        assert_eq!(interrupts.vectors(), vectors, "{interrupts:?}");
    }
}

/// Devices that have nothing but these constants.
macro_rules! devices {
    ($($name:ident { $($constant:item)* })*) => {
        $(
            struct $name;

            impl Declare for $name {
                const NAME: &'static CStr = c"it";
                type Properties = ();
                type State = ();
                type Event = Infallible;
                type Error = Infallible;
            }

            impl PciDevice for $name {
                const DESCRIPTION: &'static CStr = c"For a test";
                $($constant)*

                fn new((): ()) -> Result<Self, String> {
                    Ok(Self)
                }

                fn reset(&mut self) {}

                fn read(
                    &mut self,
                    _host: &mut impl Host<Self>,
                    _access: Access,
                ) -> Result<u64, GuestError<Infallible>> {
                    Ok(0)
                }
            }
        )*
    };
}

const IDENTITY: Identity = Identity::new(0x1234, 1);

devices! {
    Good {
        const IDENTITY: Identity = IDENTITY;
        const BARS: &'static [Bar] = &[Bar::memory(0, 16), Bar::memory(2, 16).wide(), Bar::io(4, 4)];
        const TIMERS: usize = 1;
    }
    BadBar {
        const IDENTITY: Identity = IDENTITY;
        const BARS: &'static [Bar] = &[Bar::memory(0, 16), Bar::memory(1, 3)];
    }
    BadRules {
        const IDENTITY: Identity = IDENTITY;
        const BARS: &'static [Bar] = &[Bar::memory(0, 16).with(Rules { largest: 2, ..Rules::WORDS })];
    }
    SharedBar {
        const IDENTITY: Identity = IDENTITY;
        const BARS: &'static [Bar] = &[Bar::memory(3, 16), Bar::memory(2, 16).wide()];
    }
    SharedWithMsiX {
        const IDENTITY: Identity = IDENTITY;
        const BARS: &'static [Bar] = &[Bar::memory(1, 16)];
        const INTERRUPTS: Interrupts = Interrupts { msix: MSIX, ..Interrupts::PIN };
    }
    BadInterrupts {
        const IDENTITY: Identity = IDENTITY;
        const BARS: &'static [Bar] = &[];
        const INTERRUPTS: Interrupts = Interrupts::NONE.with_msi(1);
    }
    TooManyTimers {
        const IDENTITY: Identity = IDENTITY;
        const BARS: &'static [Bar] = &[];
        const TIMERS: usize = 9;
    }
    TooShortDelay {
        const IDENTITY: Identity = IDENTITY;
        const BARS: &'static [Bar] = &[];
        const LONGEST_DELAY: u64 = 9_999;
    }
    TooLongDelay {
        const IDENTITY: Identity = IDENTITY;
        const BARS: &'static [Bar] = &[];
        const LONGEST_DELAY: u64 = (1 << 62) + 1;
    }
    TooLongCapability {
        const IDENTITY: Identity = Identity { vendor_capability: &[0; 97], ..IDENTITY };
        const BARS: &'static [Bar] = &[];
    }
}

/// The check runs when a device is compiled; here it runs as the test does.
#[test]
fn invalid_device_does_not_compile() {
    let checks: [(fn(), &str); 9] = [
        (
            check::<BadBar>,
            "PCI allows no BAR of this index, kind and size",
        ),
        (
            check::<BadRules>,
            "a BAR's rules have a size that never arrives",
        ),
        (check::<SharedBar>, "two BARs share a base address register"),
        (
            check::<SharedWithMsiX>,
            "two BARs share a base address register",
        ),
        (
            check::<BadInterrupts>,
            "a device cannot have these interrupts",
        ),
        (check::<TooManyTimers>, "a device has at most 8 timers"),
        (check::<TooShortDelay>, "no timer has so short a delay"),
        (check::<TooLongDelay>, "no timer has so long a delay"),
        (
            check::<TooLongCapability>,
            "a capability has at most 96 bytes",
        ),
    ];
    for (check, expected) in checks {
        let panic = std::panic::catch_unwind(check).expect_err(expected);
        assert_eq!(panic.downcast_ref::<&str>(), Some(&expected));
    }
    check::<Good>();
}

#[test]
fn omitted_methods_have_defaults() {
    assert_eq!(Good::INTERRUPTS, Interrupts::NONE);
    assert_eq!(Good::LONGEST_DELAY, 3_600_000_000_000);
    // The kit does not know which timers have to run.
    for deadlines in [[NOT_RUNNING], [Good::LONGEST_DELAY]] {
        assert_eq!(check_deadlines::<Good>(&(), 0, &deadlines), Ok(()));
    }
    let late = check_deadlines::<Good>(&(), 0, &[Good::LONGEST_DELAY + 1]);
    assert_eq!(
        late.unwrap_err(),
        "its timer 0 is due later than any timer can be"
    );
}
