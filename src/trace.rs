//! Spans for the feature `tracing`: what a store does, with its target `annals`. Without the
//! feature nothing of it is compiled.

/// A span that ends where its value is dropped.
macro_rules! span {
    ($name:literal $(, $($fields:tt)+)?) => {{
        #[cfg(feature = "tracing")]
        let span = tracing::debug_span!(target: "annals", $name $(, $($fields)+)?).entered();
        #[cfg(not(feature = "tracing"))]
        let span = $crate::trace::NoSpan;
        span
    }};
}

pub(crate) use span;

/// Takes the place of a span.
#[cfg(not(feature = "tracing"))]
pub(crate) struct NoSpan;
