//! Compares JSON by value, and its numbers digit for digit: as floats, many would be the same.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Whether two texts are the same JSON value.
pub(super) fn is_same_json(one: &str, other: &str) -> bool {
    if one == other {
        true
    } else if let Some((one, other)) = both::<BTreeMap<String, &RawValue>>(one, other) {
        one.keys().eq(other.keys()) && are_same(one.values(), other.values())
    } else if let Some((one, other)) = both::<Vec<&RawValue>>(one, other) {
        one.len() == other.len() && are_same(one.iter(), other.iter())
    } else {
        both::<String>(one, other).is_some_and(|(one, other)| one == other)
    }
}

fn are_same<'a>(
    ones: impl Iterator<Item = &'a &'a RawValue>,
    others: impl Iterator<Item = &'a &'a RawValue>,
) -> bool {
    ones.zip(others).all(|(one, other)| is_same_json(one.get(), other.get()))
}

/// Both texts as a `T`, if they have that form.
fn both<'a, T: Deserialize<'a>>(one: &'a str, other: &'a str) -> Option<(T, T)> {
    Some((serde_json::from_str(one).ok()?, serde_json::from_str(other).ok()?))
}
