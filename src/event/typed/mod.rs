//! Events as the variants of an enum: the variant is the event type, its content the data.
//!
//! The content goes straight between the enum and its JSON text, so that numbers keep their digits.

mod from_event;
mod to_event;

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error,
    event::{NewEvent, RecordedEvent},
};

pub(crate) use from_event::variants;

impl NewEvent {
    /// An event from a variant of an enum that serde serializes: the name of the variant is the
    /// event type, its content the data. A unit variant has the data `null`, a newtype variant its
    /// one value, a tuple variant an array, and a struct variant an object. serde's `rename`
    /// applies.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when `event` is not such an enum (serde's `tag` and `untagged`
    /// make others), when its content has no JSON form, or nests deeper than
    /// [`JSON_DEPTH_MAX`](crate::limits::JSON_DEPTH_MAX).
    ///
    /// # Examples
    /// ```
    /// use annals::NewEvent;
    ///
    /// #[derive(serde::Serialize)]
    /// enum OrderEvent {
    ///     Placed,
    ///     ItemAdded { sku: String, quantity: u32 },
    /// }
    ///
    /// let added = NewEvent::of(&OrderEvent::ItemAdded { sku: "tea".to_owned(), quantity: 2 })?;
    /// assert_eq!(added.event_type(), "ItemAdded");
    /// assert_eq!(added.data(), br#"{"sku":"tea","quantity":2}"#);
    /// assert_eq!(NewEvent::of(&OrderEvent::Placed)?.data(), b"null");
    /// assert!(NewEvent::of("not an enum").is_err());
    /// # Ok::<(), annals::Error>(())
    /// ```
    pub fn of(event: &(impl Serialize + ?Sized)) -> Result<NewEvent, Error> {
        let variant =
            to_event::variant(event).map_err(|fault| Error::invalid("event", fault.to_string()))?;
        NewEvent::raw_json(variant.name, &variant.json)
    }
}

impl RecordedEvent {
    /// Reads the event as a variant of an enum, as [`NewEvent::of`] makes an event from it. serde's
    /// `alias` gives a variant several event types; a unit variant with serde's `other` takes all
    /// that are unknown, whatever their data.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when no variant has the name of the event type, which the error
    /// then names; when the data is binary, or does not have the form of the variant's content; and
    /// when `T` is not such an enum.
    ///
    /// # Examples
    /// ```
    /// use annals::{EventStore, ExpectedVersion, NewEvent};
    ///
    /// #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    /// enum OrderEvent {
    ///     Placed,
    ///     ItemAdded { sku: String, quantity: u32 },
    /// }
    ///
    /// let store = EventStore::in_memory()?;
    /// let added = OrderEvent::ItemAdded { sku: "tea".to_owned(), quantity: 2 };
    /// store.append("order-7", ExpectedVersion::Any, [NewEvent::of(&added)?])?;
    /// store.append("order-7", ExpectedVersion::Any, [NewEvent::json("Burnt", &())?])?;
    ///
    /// let events: Vec<_> = store.read_stream("order-7").collect::<Result<_, _>>()?;
    /// assert_eq!(events[0].to::<OrderEvent>()?, added);
    /// let unknown = events[1].to::<OrderEvent>().unwrap_err();
    /// assert!(unknown.to_string().contains("\"Burnt\" is not one of Placed, ItemAdded"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let read = from_event::read(self.event_type(), self.data(), self.is_binary());
        read.map_err(|fault| self.wrong_form(fault.part(), fault))
    }
}
