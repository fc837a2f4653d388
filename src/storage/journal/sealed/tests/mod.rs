//! Sealed files: their bytes, what they hand out, and what damage to them does.

mod damage;
mod golden;
mod round_trip;
mod sealing;
mod source;
