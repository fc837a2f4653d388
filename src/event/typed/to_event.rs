//! A serializer that accepts only enums, and splits a value into the name and the JSON of its
//! variant.

use std::fmt;

use serde::ser::{self, Impossible, Serialize, Serializer};

/// A variant of an enum.
#[derive(Debug)]
pub(super) struct Variant {
    pub(super) name: &'static str,
    /// The JSON text of its content.
    pub(super) json: String,
}

/// Why a value is not a variant with a JSON form.
#[derive(Debug)]
pub(super) struct Fault(String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

impl ser::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Fault {
        Fault(message.to_string())
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Fault {
        Fault(format!("it cannot be written as JSON: {error}"))
    }
}

/// Splits a value into the name and the JSON of its variant.
pub(super) fn variant(value: &(impl Serialize + ?Sized)) -> Result<Variant, Fault> {
    value.serialize(Splitter)
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, Fault> {
    Ok(serde_json::to_string(value)?)
}

struct Splitter;

/// Collects the fields of a variant.
pub(super) struct Fields {
    name: &'static str,
    json: String,
    closing: char,
}

impl Fields {
    fn new(name: &'static str, opening: char, closing: char) -> Fields {
        Fields { name, json: String::from(opening), closing }
    }

    fn add<T: Serialize + ?Sized>(&mut self, value: &T, key: Option<&str>) -> Result<(), Fault> {
        if self.json.len() > 1 {
            self.json.push(',');
        }
        if let Some(key) = key {
            self.json.push_str(&json(key)?);
            self.json.push(':');
        }
        self.json.push_str(&json(value)?);
        Ok(())
    }

    fn finish(mut self) -> Variant {
        self.json.push(self.closing);
        Variant { name: self.name, json: self.json }
    }
}

impl ser::SerializeTupleVariant for Fields {
    type Ok = Variant;
    type Error = Fault;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        self.add(value, None)
    }

    fn end(self) -> Result<Variant, Fault> {
        Ok(self.finish())
    }
}

impl ser::SerializeStructVariant for Fields {
    type Ok = Variant;
    type Error = Fault;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Fault> {
        self.add(value, Some(key))
    }

    fn end(self) -> Result<Variant, Fault> {
        Ok(self.finish())
    }
}

fn not_an_enum<T>() -> Result<T, Fault> {
    let reason = "it is not an enum in serde's default representation (externally tagged)";
    Err(Fault(reason.to_owned()))
}

/// Refuses the values that are not enums.
macro_rules! refuse {
    ($($method:ident($($ty:ty),*);)*) => {$(
        fn $method(self, $(_: $ty),*) -> Result<Variant, Fault> {
            not_an_enum()
        }
    )*};
}

impl Serializer for Splitter {
    type Ok = Variant;
    type Error = Fault;
    type SerializeSeq = Impossible<Variant, Fault>;
    type SerializeTuple = Impossible<Variant, Fault>;
    type SerializeTupleStruct = Impossible<Variant, Fault>;
    type SerializeTupleVariant = Fields;
    type SerializeMap = Impossible<Variant, Fault>;
    type SerializeStruct = Impossible<Variant, Fault>;
    type SerializeStructVariant = Fields;

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
    ) -> Result<Variant, Fault> {
        Ok(Variant { name, json: "null".to_owned() })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Result<Variant, Fault> {
        Ok(Variant { name, json: json(value)? })
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Fields, Fault> {
        Ok(Fields::new(name, '[', ']'))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Fields, Fault> {
        Ok(Fields::new(name, '{', '}'))
    }

    /// A newtype around an enum is treated as that enum.
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Variant, Fault> {
        value.serialize(self)
    }

    refuse! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(&'static str);
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<Variant, Fault> {
        not_an_enum()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Fault> {
        not_an_enum()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Fault> {
        not_an_enum()
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Fault> {
        not_an_enum()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Fault> {
        not_an_enum()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, Fault> {
        not_an_enum()
    }
}
