// SPDX-License-Identifier: GPL-2.0-or-later

//! What the user sets with `-device NAME,PROPERTY=VALUE`.

use core::ffi::CStr;

/// A value of a property, as QEMU keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `on` or `off`.
    Bool(bool),
    /// 8 bits.
    U8(u8),
    /// 16 bits.
    U16(u16),
    /// 32 bits.
    U32(u32),
    /// 64 bits.
    U64(u64),
    /// 32 bits, signed.
    I32(i32),
    /// 64 bits, signed.
    I64(i64),
    /// A number of bytes.
    Size(Size),
    /// A text. Bytes that are not UTF-8 are replaced.
    Text(String),
}

/// A type that a property can have.
pub trait Property: Sized {
    /// The names of an enum's values; none for other types.
    const NAMES: &'static [&'static str] = &[];

    /// The value for QEMU.
    fn to_value(&self) -> Value;

    /// The value that the user has set.
    ///
    /// # Errors
    ///
    /// When this type has no such value. The text says which values there are.
    fn from_value(value: Value) -> Result<Self, String>;
}

/// A size in bytes, which users may write as 4K or 1M.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size(pub u64);

macro_rules! property {
    ($($type:ident: $variant:ident,)*) => {
        $(impl Property for $type {
            fn to_value(&self) -> Value {
                Value::$variant(self.clone())
            }

            fn from_value(value: Value) -> Result<Self, String> {
                match value {
                    Value::$variant(value) => Ok(value),
                    other => Err(format!("{other:?} is of another type")),
                }
            }
        })*
    };
}

property! {
    bool: Bool, u8: U8, u16: U16, u32: U32, u64: U64, i32: I32, i64: I64, Size: Size, String: Text,
}

/// The properties of a device, made by [`properties!`](crate::properties!). `default()` has the default values.
pub trait PropertySet: Default {
    /// Describes all of them.
    fn describe() -> Vec<Described>;

    /// The properties with these values: one for each that [`describe`](Self::describe) gives, in the same order.
    /// Those without a value have their default.
    ///
    /// # Errors
    ///
    /// The property that cannot have its value, and why.
    fn from_values(values: impl IntoIterator<Item = Value>) -> Result<Self, String>;
}

/// For a device without properties.
impl PropertySet for () {
    fn describe() -> Vec<Described> {
        Vec::new()
    }

    fn from_values(_: impl IntoIterator<Item = Value>) -> Result<Self, String> {
        Ok(())
    }
}

/// A property as the user and QEMU see it.
#[derive(Clone, Debug)]
pub struct Described {
    /// Its name.
    pub name: &'static CStr,
    /// Its default.
    pub default: Value,
    /// Its line in the help, with the names of an enum's values.
    pub help: String,
    /// The names of an enum's values; none for other types.
    pub names: &'static [&'static str],
}

/// For [`properties!`](crate::properties!).
#[doc(hidden)]
pub fn described<P: Property>(name: &'static CStr, help: &str, default: &P) -> Described {
    let mut help = help.trim().to_owned();
    if !P::NAMES.is_empty() {
        help = format!("{help}: {}", P::NAMES.join(", "));
    }
    Described {
        name,
        default: default.to_value(),
        help,
        names: P::NAMES,
    }
}

/// For [`properties!`](crate::properties!).
#[doc(hidden)]
pub fn set<P: Property>(place: &mut P, name: &CStr, value: Option<Value>) -> Result<(), String> {
    if let Some(value) = value {
        *place =
            P::from_value(value).map_err(|error| format!("{}: {error}", name.to_string_lossy()))?;
    }
    Ok(())
}

/// The error for a name that an enum does not have.
#[doc(hidden)]
#[must_use]
pub fn unknown_name(given: &str, names: &[&str]) -> String {
    let names = match names {
        [others @ .., last] if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => names.concat(),
    };
    format!(
        "there is no '{}'; it is one of {names}",
        given.escape_debug()
    )
}

/// A property's name: `_` becomes `-`. Ends with the NUL of `name`.
#[doc(hidden)]
#[must_use]
#[expect(clippy::indexing_slicing, reason = "evaluated when compiling")]
pub const fn dashed<const N: usize>(name: &str) -> [u8; N] {
    let (bytes, mut dashed, mut i) = (name.as_bytes(), [0; N], 0);
    while i < N {
        dashed[i] = if bytes[i] == b'_' { b'-' } else { bytes[i] };
        i += 1;
    }
    dashed
}

/// Declares the properties of a device: a struct that implements [`PropertySet`].
///
/// ```
/// qemu_pci::properties! {
///     /// What the user sets.
///     pub struct Properties {
///         /// Where it starts
///         first_count: u32 = 0,
///         /// Where it is kept
///         "x-path" pub path: String = String::new(),
///     }
/// }
/// ```
///
/// A property has its field's name, with `-` for each `_`, or exactly the name in quotes before the field. Its doc
/// comment is the line that `-device NAME,help` shows. The types are bool, u8 to u64, i32, i64, [`Size`], String, and
/// enums of [`property_enum!`](crate::property_enum!).
#[macro_export]
macro_rules! properties {
    (
        $(#[$meta:meta])*
        $vis:vis struct $properties:ident {
            $(
                $(#[doc = $help:literal])+
                $($name:literal)? $field_vis:vis $field:ident: $type:ty = $default:expr,
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        $vis struct $properties {
            $($(#[doc = $help])+ $field_vis $field: $type,)*
        }

        impl Default for $properties {
            fn default() -> Self {
                Self {
                    $($field: $default,)*
                }
            }
        }

        impl $crate::property::PropertySet for $properties {
            fn describe() -> Vec<$crate::property::Described> {
                let defaults = Self::default();
                vec![$($crate::property::described(
                    $crate::property_name!($($name)? $field),
                    concat!($($help),+),
                    &defaults.$field,
                ),)*]
            }

            fn from_values(
                values: impl IntoIterator<Item = $crate::property::Value>,
            ) -> Result<Self, String> {
                let (mut properties, mut values) = (Self::default(), values.into_iter());
                $($crate::property::set(
                    &mut properties.$field,
                    $crate::property_name!($($name)? $field),
                    values.next(),
                )?;)*
                Ok(properties)
            }
        }
    };
}

/// The name of a property.
#[doc(hidden)]
#[macro_export]
macro_rules! property_name {
    ($name:literal $field:ident) => {
        $crate::property_name!(@ concat!($name, "\0").as_bytes())
    };
    ($field:ident) => {
        $crate::property_name!(@ {
            const NAME: &str = concat!(stringify!($field), "\0");
            const DASHED: [u8; NAME.len()] = $crate::property::dashed(NAME);
            &DASHED
        })
    };
    (@ $name:expr) => {
        const {
            match ::core::ffi::CStr::from_bytes_with_nul($name) {
                Ok(name) => name,
                Err(_) => panic!("a property's name has no NUL"),
            }
        }
    };
}

/// Makes an enum a type of property. Users know its values by these names, and `Display` gives the names.
///
/// ```
/// #[derive(Clone, Copy)]
/// enum Speed {
///     Slow,
///     Fast,
/// }
/// qemu_pci::property_enum! { Speed: "slow" = Slow, "fast" = Fast }
/// assert_eq!(Speed::Slow.to_string(), "slow");
/// ```
#[macro_export]
macro_rules! property_enum {
    ($type:ty: $($name:literal = $variant:ident),* $(,)?) => {
        impl ::core::fmt::Display for $type {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $name,)*
                })
            }
        }

        impl $crate::property::Property for $type {
            const NAMES: &'static [&'static str] = &[$($name),*];

            fn to_value(&self) -> $crate::property::Value {
                $crate::property::Value::Text(self.to_string())
            }

            fn from_value(value: $crate::property::Value) -> Result<Self, String> {
                match <String as $crate::property::Property>::from_value(value)?.as_str() {
                    $($name => Ok(Self::$variant),)*
                    other => Err($crate::property::unknown_name(other, Self::NAMES)),
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::{PropertySet as _, Size, Value, unknown_name};

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Speed {
        Slow,
        Fast,
    }
    crate::property_enum! { Speed: "slow" = Slow, "fast" = Fast }

    crate::properties! {
        /// One of each.
        pub struct All {
            /// A switch
            is_on: bool = true,
            /// 8 bits
            small: u8 = 1,
            /// 16 bits
            middle: u16 = 2,
            /// 32 bits
            word: u32 = 3,
            /// 64 bits, and
            /// a second line
            long: u64 = u64::MAX,
            /// Signed
            "x_signed" signed: i32 = -4,
            /// Signed, long
            signed_long: i64 = i64::MIN,
            /// Bytes
            memory: Size = Size(4096),
            /// A text
            text: String = "a text".to_owned(),
            /// How fast
            speed: Speed = Speed::Fast,
        }
    }

    #[test]
    fn properties_are_described() {
        let described = All::describe();
        let names: Vec<_> = described
            .iter()
            .map(|it| it.name.to_str().unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "is-on",
                "small",
                "middle",
                "word",
                "long",
                "x_signed",
                "signed-long",
                "memory",
                "text",
                "speed"
            ]
        );
        assert_eq!(described[4].help, "64 bits, and a second line");
        assert_eq!(described[9].help, "How fast: slow, fast");
        let defaults: Vec<_> = described.into_iter().map(|it| it.default).collect();
        assert_eq!(
            defaults,
            [
                Value::Bool(true),
                Value::U8(1),
                Value::U16(2),
                Value::U32(3),
                Value::U64(u64::MAX),
                Value::I32(-4),
                Value::I64(i64::MIN),
                Value::Size(Size(4096)),
                Value::Text("a text".to_owned()),
                Value::Text("fast".to_owned()),
            ]
        );
        assert_eq!(All::from_values(defaults), Ok(All::default()));
    }

    #[test]
    fn an_error_lists_the_names_of_an_enum() {
        for (names, listed) in [
            (&["a"][..], "a"),
            (&["a", "b"], "a and b"),
            (&["a", "b", "c"], "a, b and c"),
        ] {
            let expected = format!("there is no 'x'; it is one of {listed}");
            assert_eq!(unknown_name("x", names), expected);
        }
    }

    #[test]
    fn an_unknown_name_of_an_enum_is_refused() {
        let mut values: Vec<_> = All::describe().into_iter().map(|it| it.default).collect();
        values[9] = Value::Text("sp\u{1b}eed".to_owned());
        assert_eq!(
            All::from_values(values).unwrap_err(),
            r"speed: there is no 'sp\u{1b}eed'; it is one of slow and fast"
        );
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        let error = All::from_values([Value::U8(1)]).unwrap_err();
        assert_eq!(error, "is-on: U8(1) is of another type");
    }
}
