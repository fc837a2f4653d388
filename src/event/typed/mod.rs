//! Events as variants of an enum: the variant is the event type, its content the data.
//!
//! The content is converted directly between the enum and its JSON text, so numbers keep their
//! digits.

mod from_event;
mod to_event;

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error,
    event::{NewEvent, RecordedEvent},
};

pub(crate) use from_event::variants;

impl NewEvent {
    /// Creates an event from a variant of a serializable enum: the name of the variant is the event
    /// type, its content the data. The data of a unit variant is `null`, that of a newtype variant
    /// its one value, that of a tuple variant an array, and that of a struct variant an object.
    /// serde's `rename` applies. A NaN or an infinity becomes `null`, as in
    /// [`json`](Self::json).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if `event` is not such an enum (enums with serde's `tag` or
    /// `untagged` are not), or if its content has no JSON form or nests deeper than
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
    /// Deserializes the event as a variant of an enum, the reverse of [`NewEvent::of`]. With
    /// serde's `alias` a variant accepts several event types; a unit variant with serde's `other`
    /// accepts all unknown ones, whatever their data.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if no variant has the name of the event type (the error names the
    /// type); if the data is binary, or does not have the form of the variant's content; and if `T`
    /// is not such an enum, or has a variant with serde's `untagged`.
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
