//! The stores, each used as those who know it would use it.

pub(crate) mod annals;
pub(crate) mod annals_dcb;
pub(crate) mod bare;
pub(crate) mod fjall;
pub(crate) mod lmdb;
pub(crate) mod redb;
pub(crate) mod sqlite;
pub(crate) mod tephra;
pub(crate) mod umadb;
mod dcb; //   exact versions for stores that have none
mod value; // events as bytes, for stores of keys and values
