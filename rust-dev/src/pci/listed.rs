// SPDX-License-Identifier: GPL-2.0-or-later

//! For tests of what a device shows to a visitor.

use core::ffi::CStr;

use super::{PropertyVisitor, StateVisitor};

/// Lists each field with its value, and then changes it.
#[derive(Default)]
pub struct Listed(pub Vec<String>);

impl Listed {
    fn add(&mut self, name: &CStr, value: impl core::fmt::Debug) {
        self.0.push(format!("{}={value:?}", name.to_str().unwrap()));
    }
}

impl PropertyVisitor for Listed {
    fn bool(&mut self, name: &'static CStr, _description: &'static CStr, value: &mut bool) {
        self.add(name, &value);
        *value = !*value;
    }

    fn u32(&mut self, name: &'static CStr, _description: &'static CStr, value: &mut u32) {
        StateVisitor::u32(self, name, value);
    }

    fn text(&mut self, name: &'static CStr, _description: &'static CStr, value: &mut String) {
        self.add(name, &value);
        value.push('!');
    }
}

impl StateVisitor for Listed {
    fn u8(&mut self, name: &'static CStr, value: &mut u8) {
        self.add(name, &value);
        *value += 1;
    }

    fn u32(&mut self, name: &'static CStr, value: &mut u32) {
        self.add(name, &value);
        *value += 1;
    }

    fn u64(&mut self, name: &'static CStr, value: &mut u64) {
        self.add(name, &value);
        *value += 1;
    }

    fn u32_array(&mut self, name: &'static CStr, values: &mut [u32]) {
        self.add(name, values.len());
        for value in values {
            *value += 1;
        }
    }
}
