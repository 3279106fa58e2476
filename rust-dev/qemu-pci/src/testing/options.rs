// SPDX-License-Identifier: GPL-2.0-or-later

//! Properties as a user writes them.

use crate::property::{PropertySet, Size, Value};

/// Parses properties as in `-device NAME,PROPERTY=VALUE,...`, without the device's name. Numbers are decimal, or
/// hexadecimal with `0x`.
///
/// # Errors
///
/// For an unknown property or an invalid value.
pub fn parse<P: PropertySet>(options: &str) -> Result<P, String> {
    let described = P::describe();
    let mut values: Vec<_> = described.iter().map(|it| it.default.clone()).collect();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let (name, text) = option.split_once('=').unwrap_or((option, "on"));
        let place = described
            .iter()
            .position(|it| it.name.to_bytes() == name.as_bytes())
            .and_then(|index| values.get_mut(index))
            .ok_or_else(|| format!("there is no property '{}'", name.escape_debug()))?;
        *place = parse_value(place, text)
            .ok_or_else(|| format!("{name} cannot be '{}'", text.escape_debug()))?;
    }
    P::from_values(values)
}

/// A value of the same type.
fn parse_value(like: &Value, text: &str) -> Option<Value> {
    let number = || match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    Some(match like {
        Value::Bool(_) => Value::Bool(match text {
            "on" => true,
            "off" => false,
            _ => return None,
        }),
        Value::U8(_) => Value::U8(number()?.try_into().ok()?),
        Value::U16(_) => Value::U16(number()?.try_into().ok()?),
        Value::U32(_) => Value::U32(number()?.try_into().ok()?),
        Value::U64(_) => Value::U64(number()?),
        Value::I32(_) => Value::I32(text.parse().ok()?),
        Value::I64(_) => Value::I64(text.parse().ok()?),
        Value::Size(_) => {
            let (digits, shift) = match text.as_bytes().last()? {
                b'K' => (text.get(..text.len() - 1)?, 10),
                b'M' => (text.get(..text.len() - 1)?, 20),
                b'G' => (text.get(..text.len() - 1)?, 30),
                _ => (text, 0),
            };
            Value::Size(Size(digits.parse::<u64>().ok()?.checked_mul(1 << shift)?))
        }
        Value::Text(_) => Value::Text(text.to_owned()),
    })
}
