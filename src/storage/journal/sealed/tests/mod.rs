//! Sealed files: their bytes, the answers that they give, and the effects of damage.

mod damage;
mod golden;
mod round_trip;
mod sealing;
mod source;
