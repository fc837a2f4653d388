//! Notification of new events: waiting subscriptions, and projections that follow every append.

mod arrivals;
mod followers;
mod waits;

pub(crate) use arrivals::Arrivals;
pub(crate) use followers::{Follower, Followers};
pub(crate) use waits::Waits;
