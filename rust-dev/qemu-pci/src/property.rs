// SPDX-License-Identifier: GPL-2.0-or-later

//! What the user sets with `-device NAME,PROPERTY=VALUE`.

use core::ffi::CStr;
use core::fmt;

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
    /// Bytes, which users may write as 4K or 1M.
    Size(u64),
    /// A text. Bytes that are not UTF-8 are replaced.
    Text(String),
}

/// A type that a property can have.
pub trait Property: Sized {
    /// The value for QEMU.
    fn to_value(&self) -> Value;

    /// The value that the user has set.
    ///
    /// # Errors
    ///
    /// When this type has no such value. The text says which values there are.
    fn from_value(value: Value) -> Result<Self, String>;

    /// The names of an enum's values, for the help; none for other types.
    #[must_use]
    fn names() -> &'static [&'static str] {
        &[]
    }
}

/// A size in bytes, which users may write as 4K or 1M.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size(pub u64);

macro_rules! property {
    ($($type:ty: $variant:ident($to:expr, $from:expr),)*) => {
        $(impl Property for $type {
            fn to_value(&self) -> Value {
                Value::$variant($to(self))
            }

            fn from_value(value: Value) -> Result<Self, String> {
                match value {
                    Value::$variant(value) => Ok($from(value)),
                    other => Err(format!("{other:?} is of another type")),
                }
            }
        })*
    };
}

property! {
    bool: Bool(Clone::clone, core::convert::identity),
    u8: U8(Clone::clone, core::convert::identity),
    u16: U16(Clone::clone, core::convert::identity),
    u32: U32(Clone::clone, core::convert::identity),
    u64: U64(Clone::clone, core::convert::identity),
    i32: I32(Clone::clone, core::convert::identity),
    i64: I64(Clone::clone, core::convert::identity),
    Size: Size(|size: &Self| size.0, Size),
    String: Text(Clone::clone, core::convert::identity),
}

/// The properties of a device, made by [`properties!`](crate::properties!). `default()` has the default values.
pub trait Properties: Default {
    /// Shows every property to `visitor`, always the same ones in the same order.
    ///
    /// # Errors
    ///
    /// The visitor's first error.
    fn visit<V: PropertyVisitor>(&mut self, visitor: &mut V) -> Result<(), V::Error>;
}

/// Goes over properties, to describe them or to fill them in.
pub trait PropertyVisitor {
    /// Why it stops.
    type Error;

    /// One property: its name, a line for the help, and its value.
    ///
    /// # Errors
    ///
    /// When this visitor cannot continue.
    fn property<T: Property>(
        &mut self,
        name: &'static CStr,
        help: &'static str,
        value: &mut T,
    ) -> Result<(), Self::Error>;
}

/// For a device without properties.
impl Properties for () {
    fn visit<V: PropertyVisitor>(&mut self, _visitor: &mut V) -> Result<(), V::Error> {
        Ok(())
    }
}

/// An unknown name for an enum. `Display` makes a sentence of it.
pub struct UnknownName<'a> {
    /// The unknown name.
    pub given: &'a str,
    /// The names that there are.
    pub names: &'static [&'static str],
}

impl fmt::Display for UnknownName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "there is no '{}'; it is one of ",
            self.given.escape_debug()
        )?;
        for (index, name) in self.names.iter().enumerate() {
            let between = match self.names.len() - index {
                _ if index == 0 => "",
                1 => " and ",
                _ => ", ",
            };
            write!(f, "{between}{name}")?;
        }
        Ok(())
    }
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

/// Declares the properties of a device: a struct that implements [`Properties`].
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

        impl $crate::property::Properties for $properties {
            fn visit<V: $crate::property::PropertyVisitor>(
                &mut self,
                visitor: &mut V,
            ) -> Result<(), V::Error> {
                $(visitor.property(
                    $crate::property_name!($($name)? $field),
                    concat!($($help),+),
                    &mut self.$field,
                )?;)*
                Ok(())
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
            fn to_value(&self) -> $crate::property::Value {
                $crate::property::Value::Text(self.to_string())
            }

            fn from_value(value: $crate::property::Value) -> Result<Self, String> {
                let given = <String as $crate::property::Property>::from_value(value)?;
                match given.as_str() {
                    $($name => Ok(Self::$variant),)*
                    given => Err($crate::property::UnknownName {
                        given,
                        names: <Self as $crate::property::Property>::names(),
                    }
                    .to_string()),
                }
            }

            fn names() -> &'static [&'static str] {
                &[$($name),*]
            }
        }
    };
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

/// Describes all properties of a device.
#[must_use]
pub fn describe<P: Properties>() -> Vec<Described> {
    struct Describe(Vec<Described>);

    impl PropertyVisitor for Describe {
        type Error = core::convert::Infallible;

        fn property<T: Property>(
            &mut self,
            name: &'static CStr,
            help: &'static str,
            value: &mut T,
        ) -> Result<(), Self::Error> {
            let mut help = help.trim().to_owned();
            if !T::names().is_empty() {
                help = format!("{help}: {}", T::names().join(", "));
            }
            self.0.push(Described {
                name,
                default: value.to_value(),
                help,
                names: T::names(),
            });
            Ok(())
        }
    }

    let mut describe = Describe(Vec::new());
    let Ok(()) = P::default().visit(&mut describe);
    describe.0
}

/// The properties with these values: one for each that [`describe`] gives, in the same order.
///
/// # Errors
///
/// The property that cannot have its value, and why.
pub fn from_values<P: Properties>(values: impl IntoIterator<Item = Value>) -> Result<P, String> {
    struct Fill<I>(I);

    impl<I: Iterator<Item = Value>> PropertyVisitor for Fill<I> {
        type Error = String;

        fn property<T: Property>(
            &mut self,
            name: &'static CStr,
            _help: &'static str,
            place: &mut T,
        ) -> Result<(), String> {
            if let Some(value) = self.0.next() {
                *place = T::from_value(value)
                    .map_err(|error| format!("{}: {error}", name.to_string_lossy()))?;
            }
            Ok(())
        }
    }

    let mut properties = P::default();
    properties.visit(&mut Fill(values.into_iter()))?;
    Ok(properties)
}

#[cfg(test)]
mod tests {
    use super::{Size, Value, describe, from_values};

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
        let described = describe::<All>();
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
                Value::Size(4096),
                Value::Text("a text".to_owned()),
                Value::Text("fast".to_owned()),
            ]
        );
        assert_eq!(from_values::<All>(defaults), Ok(All::default()));
    }

    #[test]
    fn a_value_that_an_enum_has_not_is_refused() {
        let mut values: Vec<_> = describe::<All>().into_iter().map(|it| it.default).collect();
        values[9] = Value::Text("sp\u{1b}eed".to_owned());
        assert_eq!(
            from_values::<All>(values).unwrap_err(),
            r"speed: there is no 'sp\u{1b}eed'; it is one of slow and fast"
        );
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        let error = from_values::<All>([Value::U8(1)]).unwrap_err();
        assert_eq!(error, "is-on: U8(1) is of another type");
    }
}
