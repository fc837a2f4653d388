//! A deserializer that takes the variant of an enum from an event type, and its content from JSON.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{
        self, DeserializeOwned, DeserializeSeed, EnumAccess, IntoDeserializer, VariantAccess,
        Visitor, value::StrDeserializer,
    },
    forward_to_deserialize_any,
};
use serde_json::de::SliceRead;

/// Why an event is not a variant of an enum.
#[derive(Debug)]
pub(super) enum Fault {
    /// No variant has the name of the event type.
    Unknown { name: String, known: &'static [&'static str] },
    /// The data does not have the form of the variant's content.
    Content(String),
    /// The requested type is not an enum.
    NotAnEnum,
    /// The names of the variants, when only these were requested.
    Variants(&'static [&'static str]),
}

impl Fault {
    /// The part of the event that does not match.
    pub(super) fn part(&self) -> &'static str {
        match self {
            Fault::Unknown { .. } => "event type",
            _ => "data",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Unknown { name, known } => {
                write!(f, "{name:?} is not one of {}", known.join(", "))
            }
            Fault::Content(reason) => f.write_str(reason),
            Fault::NotAnEnum | Fault::Variants(_) => f.write_str(
                "the target type is not an enum in serde's default form (externally tagged)",
            ),
        }
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Fault {
        Fault::Content(message.to_string())
    }

    fn unknown_variant(name: &str, known: &'static [&'static str]) -> Fault {
        Fault::Unknown { name: name.to_owned(), known }
    }
}

/// Deserializes an event as an enum.
pub(super) fn read<T: DeserializeOwned>(
    event_type: &str,
    data: &[u8],
    is_binary: bool,
) -> Result<T, Fault> {
    T::deserialize(Event { event_type, data: (!is_binary).then_some(data) })
}

/// The names of the variants of an enum, and whether it accepts any other name as well; `None` if
/// the type is not an enum.
pub(crate) fn variants<T: DeserializeOwned>() -> Option<(&'static [&'static str], bool)> {
    let Err(Fault::Variants(names)) = T::deserialize(Probe) else { return None };
    // No event type is empty, and neither is any variant name.
    let takes_others = !matches!(read::<T>("", b"null", false), Err(Fault::Unknown { .. }));
    Some((names, takes_others))
}

/// Asks a type for the names of its variants.
struct Probe;

impl<'de> Deserializer<'de> for Probe {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Fault> {
        Err(Fault::NotAnEnum)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Fault> {
        Err(Fault::Variants(variants))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// An event as the single value to deserialize.
struct Event<'a> {
    event_type: &'a str,
    /// Its JSON; `None` if the data is binary.
    data: Option<&'a [u8]>,
}

impl<'de> Deserializer<'de> for Event<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Fault> {
        Err(Fault::NotAnEnum)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let is_known = variants.contains(&self.event_type);
        visitor.visit_enum(Variant { event: self, is_known })
    }

    /// A newtype around an enum is treated as that enum.
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Variant<'a> {
    event: Event<'a>,
    /// The event type is the name of a variant; otherwise the variant with serde's `other` takes
    /// it.
    is_known: bool,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let name: StrDeserializer<'_, Fault> = self.event.event_type.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> Variant<'de> {
    /// Deserializes the content.
    fn content<T>(
        &self,
        read: impl FnOnce(&mut serde_json::Deserializer<SliceRead<'de>>) -> serde_json::Result<T>,
    ) -> Result<T, Fault> {
        let Some(data) = self.event.data else {
            return Err(Fault::Content("it is binary, not JSON".to_owned()));
        };
        // The depth was checked when the event was appended.
        let mut deserializer = serde_json::Deserializer::from_slice(data);
        deserializer.disable_recursion_limit();
        read(&mut deserializer).map_err(|error| Fault::Content(error.to_string()))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        if !self.is_known {
            return Ok(());
        }
        self.content(|content| <()>::deserialize(content))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        self.content(|content| seed.deserialize(content))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Fault> {
        self.content(|content| content.deserialize_tuple(len, visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.content(|content| content.deserialize_struct("", fields, visitor))
    }
}
