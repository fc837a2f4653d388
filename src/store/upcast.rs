//! Converting events of earlier schema versions to the newest when they are read.
//!
//! Stored events never change: exports, backups and checks see events as they were recorded.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    sync::Arc,
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error,
    codec::{
        page::Page,
        record::{self, EventToEncode},
    },
    event::{NewEvent, RecordedEvent, name, with_schema_version},
};

type Step = Arc<
    dyn Fn(&mut Upcast<'_>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> + Send + Sync,
>;

/// Steps that convert events of earlier [schema versions](NewEvent::schema_version) to the newest
/// one. Each type has a chain of steps, and each step leads from one version to the next. Pass the
/// upcasters to [`Options::upcasters`](crate::Options::upcasters): every read applies them,
/// including those of subscriptions and projections. Clones are cheap and share the steps.
///
/// Upcasters change neither the stored events nor the results of `export`, `backup` and `verify`.
/// When they change what your handlers see, raise the [version](crate::Projection::version) of the
/// projection, so that its snapshots are dropped.
///
/// An upcaster changes the data of an event, not its type. To rename a type, accept both names:
/// register one function for each name with [`Handlers::when`](crate::Handlers::when), and pass
/// both names to filters and queries too. The events keep the names that they were recorded with.
///
/// # Examples
/// ```
/// use annals::{EventStore, ExpectedVersion, NewEvent, Options, Upcasters};
/// use serde_json::{Value, json};
///
/// let upcasters = Upcasters::new()
///     // Version 1 had the whole name in one member.
///     .step("Registered", 1, |event| {
///         let name = event.json::<Value>()?["name"].as_str().unwrap_or_default().to_owned();
///         let (first, last) = name.split_once(' ').unwrap_or((&name, ""));
///         Ok(event.set_json(&json!({"first": first, "last": last}))?)
///     })?
///     .step("Registered", 2, |event| {
///         let mut data: Value = event.json()?;
///         data["country"] = "unknown".into();
///         Ok(event.set_json(&data)?)
///     })?;
///
/// let store = Options::new().upcasters(upcasters).open_in_memory()?;
/// let old = NewEvent::json("Registered", &json!({"name": "Ada Lovelace"}))?;
/// let newer = json!({"first": "Bob", "last": "", "country": "NZ"});
/// let newer = NewEvent::json("Registered", &newer)?;
/// store.append("users", ExpectedVersion::Any, [old, newer.schema_version(3)])?;
///
/// let read: Vec<Value> =
///     store.read_all().map(|event| event?.json()).collect::<Result<_, annals::Error>>()?;
/// assert_eq!(read[0], json!({"first": "Ada", "last": "Lovelace", "country": "unknown"}));
/// assert_eq!(read[1]["country"], "NZ");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Upcasters {
    by_type: BTreeMap<String, Chain>,
}

/// The steps of one type. The first step leads from this version to the next.
#[derive(Clone)]
struct Chain {
    first: u32,
    steps: Vec<Step>,
}

/// An event that is passing through the steps.
///
/// # Examples
/// See [`Upcasters`].
#[derive(Debug)]
pub struct Upcast<'a> {
    event: &'a RecordedEvent,
    data: String,
}

impl Upcast<'_> {
    /// The event as it was recorded.
    pub fn recorded(&self) -> &RecordedEvent {
        self.event
    }

    /// The data as the previous steps left it: JSON text.
    pub fn data(&self) -> &str {
        &self.data
    }

    /// Deserializes the data as a `T`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the data does not have the form of a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(&self.data).map_err(|error| Error::invalid("data", error.to_string()))
    }

    /// Replaces the data.
    ///
    /// # Errors
    /// Same as for [`NewEvent::json`].
    pub fn set_json(&mut self, data: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        self.set(&NewEvent::json(self.event.event_type(), data)?);
        Ok(())
    }

    /// Replaces the data with JSON text, whose numbers keep their digits.
    ///
    /// # Errors
    /// Same as for [`NewEvent::raw_json`].
    pub fn set_raw_json(&mut self, text: &str) -> Result<(), Error> {
        self.set(&NewEvent::raw_json(self.event.event_type(), text)?);
        Ok(())
    }

    fn set(&mut self, checked: &NewEvent) {
        self.data = String::from_utf8_lossy(checked.data()).into_owned();
    }
}

impl Upcasters {
    /// Creates upcasters without steps.
    #[must_use]
    pub fn new() -> Upcasters {
        Upcasters::default()
    }

    /// Adds a step that converts a type from the schema version `from` to the next one. The first
    /// step of a type may start at any version; each later step must continue the previous one.
    ///
    /// A step can change only the data. Binary data is passed through unchanged.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for the versions 0 and [`u32::MAX`], and for a step that does not
    /// continue the previous one; [`Error::InvalidArgument`] and [`Error::LimitExceeded`] if the
    /// type is invalid.
    ///
    /// # Examples
    /// ```
    /// use annals::Upcasters;
    ///
    /// let first = Upcasters::new().step("Registered", 1, |_| Ok(()))?;
    /// assert!(first.clone().step("Registered", 3, |_| Ok(())).is_err());
    /// assert!(first.clone().step("Registered", 1, |_| Ok(())).is_err());
    /// assert!(first.step("Registered", 2, |_| Ok(())).is_ok());
    /// # Ok::<(), annals::Error>(())
    /// ```
    pub fn step<F>(
        mut self,
        event_type: impl Into<String>,
        from: u32,
        step: F,
    ) -> Result<Upcasters, Error>
    where
        F: Fn(&mut Upcast<'_>) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
            + Send
            + Sync
            + 'static,
    {
        let event_type = event_type.into();
        name::check_form("event type", &event_type)?;
        name::check_length("event type (bytes)", &event_type)?;
        if from == 0 {
            return Err(Error::invalid("from", "schema versions count from 1"));
        }
        if from == u32::MAX {
            return Err(Error::invalid("from", "there is no version after it"));
        }
        match self.by_type.entry(event_type) {
            Entry::Vacant(place) => {
                place.insert(Chain { first: from, steps: vec![Arc::new(step)] });
            }
            Entry::Occupied(mut chain) => {
                let newest = chain.get().newest();
                if from != newest {
                    let event_type = chain.key();
                    let reason = format!("the steps of {event_type} end at version {newest}");
                    return Err(Error::invalid("from", reason));
                }
                chain.get_mut().steps.push(Arc::new(step));
            }
        }
        Ok(self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_type.is_empty()
    }

    /// Converts an event to its newest schema version.
    pub(crate) fn apply(&self, event: RecordedEvent) -> Result<RecordedEvent, Error> {
        let Some(chain) = self.by_type.get(event.event_type()) else { return Ok(event) };
        let version = event.schema_version();
        if event.is_binary() || version < chain.first || version >= chain.newest() {
            return Ok(event);
        }
        let data = String::from_utf8_lossy(event.data()).into_owned();
        let mut upcast = Upcast { event: &event, data };
        let skipped = usize::try_from(version - chain.first).unwrap_or(usize::MAX);
        for step in chain.steps.iter().skip(skipped) {
            Error::of_upcaster(&event, || step(&mut upcast))?;
        }
        let data = upcast.data;
        with_data(&event, &data, chain.newest())
    }
}

impl Chain {
    /// The version to which the last step leads.
    fn newest(&self) -> u32 {
        self.first.saturating_add(u32::try_from(self.steps.len()).unwrap_or(u32::MAX))
    }
}

/// The same event with other data and another schema version.
fn with_data(event: &RecordedEvent, data: &str, version: u32) -> Result<RecordedEvent, Error> {
    let metadata = with_schema_version(event.metadata(), version);
    let changed = EventToEncode {
        position: event.position(),
        stream: event.stream_id(),
        version: event.version(),
        event_type: event.event_type(),
        timestamp: event.timestamp(),
        id: event.id(),
        is_binary: false,
        data: data.as_bytes(),
        metadata: Some(metadata.as_bytes()),
        tags: event.tag_list(),
    };
    let mut bytes = Vec::new();
    record::encode(&[changed], &mut bytes);
    let page = Page::of_record(Arc::from(bytes)).map_err(Error::internal)?;
    page.event(0).ok_or_else(|| Error::internal("an event is missing from its own record"))
}

impl fmt::Debug for Upcasters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions = |(name, chain): (&String, &Chain)| (name.clone(), chain.newest());
        f.debug_map().entries(self.by_type.iter().map(versions)).finish()
    }
}
