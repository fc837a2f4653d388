//! The payload of made-up events: JSON objects with repeated keys, a few words from small
//! vocabularies, and numbers that do not repeat, so that it compresses like that of real logs.

use crate::random::Random;

/// How many different payloads there are: far more than a window of compression holds.
const DIFFERENT: usize = 20_000;

const KINDS: [&str; 6] =
    ["OrderPlaced", "ItemAdded", "ItemRemoved", "PaymentReceived", "Shipped", "NoteAdded"];
const STATES: [&str; 5] = ["open", "in progress", "awaiting assignment", "on hold", "completed"];
const COUNTRIES: [&str; 6] = ["France", "Sweden", "Netherlands", "Brazil", "Poland", "Japan"];
const WORDS: [&str; 24] = [
    "customer",
    "asked",
    "for",
    "a",
    "later",
    "delivery",
    "of",
    "the",
    "second",
    "parcel",
    "please",
    "call",
    "before",
    "noon",
    "gift",
    "wrap",
    "invoice",
    "sent",
    "to",
    "head",
    "office",
    "and",
    "confirmed",
    "by",
];

/// Data and metadata of the events, of which together each has about `bytes` bytes.
pub(crate) struct Payloads {
    texts: Vec<(&'static str, String, String)>,
}

impl Payloads {
    pub(crate) fn new(bytes: usize) -> Payloads {
        let mut random = Random::new(bytes as u64);
        Payloads { texts: (0..DIFFERENT).map(|_| text(&mut random, bytes)).collect() }
    }

    /// Type, data and metadata of an event.
    pub(crate) fn get(&self, number: u64) -> (&str, &str, &str) {
        let (kind, data, metadata) = &self.texts[(number % DIFFERENT as u64) as usize];
        (kind, data, metadata)
    }

    /// How many times smaller lz4 makes blocks of 64 KiB of it.
    pub(crate) fn lz4_ratio(&self) -> f64 {
        let all: String = self.texts.iter().flat_map(|(_, d, m)| [d.as_str(), m]).collect();
        let blocks = all.as_bytes().chunks(64 << 10);
        let packed: usize = blocks.map(|block| lz4_flex::block::compress(block).len()).sum();
        all.len() as f64 / packed as f64
    }
}

fn text(random: &mut Random, bytes: usize) -> (&'static str, String, String) {
    let metadata = format!(
        "{{\"user\": \"user-{}\", \"role\": \"A2_{}\"}}",
        random.below(300),
        random.below(5)
    );
    let mut data = format!(
        "{{\"order\": \"order-{:06}\", \"state\": \"{}\", \"organization country\": \"{}\", \
         \"sku\": \"sku-{:04}\", \"quantity\": {}, \"amount\": \"{}.{:02}\", \"note\": \"",
        random.below(1_000_000),
        random.pick(&STATES),
        random.pick(&COUNTRIES),
        random.below(2_000),
        1 + random.below(9),
        random.below(500),
        random.below(100),
    );
    loop {
        data.push_str(random.pick(&WORDS));
        if data.len() + metadata.len() + 2 >= bytes {
            break;
        }
        data.push(' ');
    }
    data.push_str("\"}");
    (random.pick(&KINDS), data, metadata)
}
