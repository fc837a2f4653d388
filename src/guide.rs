//! Guides: how to work with a store, page by page. Each snippet is compiled and run.
//!
//! 1. [`modelling`]: streams, versions, decisions, and events whose shape changes
//! 2. [`decisions`]: decisions over more than one stream: tags, queries, conditions
//! 3. [`retries`]: calls that can be repeated safely
//! 4. [`projections`]: state derived from events, and rebuilding it
//! 5. [`snapshots`]: saved states
//! 6. [`moving_in`]: NDJSON, and moving in from an existing log
//! 7. [`operating`]: looking inside, backup, disk, memory, damage
//! 8. [`c_and_cpp`]: the other languages
//! 9. [`when_not`]: when to use something else
//! 10. [`promises`]: what a store promises, and the tests that show it
//!
//! And the reference: [`architecture`], [`format`](mod@format), [`ndjson`], [`performance`].

#[doc = include_str!("docs/guide/modelling.md")]
pub mod modelling {}
#[doc = include_str!("docs/guide/decisions.md")]
pub mod decisions {}
#[doc = include_str!("docs/guide/retries.md")]
pub mod retries {}
#[doc = include_str!("docs/guide/projections.md")]
pub mod projections {}
#[doc = include_str!("docs/guide/snapshots.md")]
pub mod snapshots {}
#[doc = include_str!("docs/guide/moving_in.md")]
pub mod moving_in {}
#[doc = include_str!("docs/guide/operating.md")]
pub mod operating {}
#[doc = include_str!("docs/guide/c_and_cpp.md")]
pub mod c_and_cpp {}
#[doc = include_str!("docs/guide/when_not.md")]
pub mod when_not {}
#[doc = include_str!("docs/guide/promises.md")]
pub mod promises {}
#[doc = include_str!("docs/architecture.md")]
pub mod architecture {}
#[doc = include_str!("docs/format.md")]
pub mod format {}
#[doc = include_str!("docs/ndjson.md")]
pub mod ndjson {}
#[doc = include_str!("docs/performance.md")]
pub mod performance {}
