//! Spans for the feature `tracing`: what a store does, with its target `annals`. Without the
//! feature nothing of it is compiled.

/// A span that ends where its value is dropped. A field that is `Empty` gets its value later, by
/// `note`.
macro_rules! span {
    ($name:literal $(, $($fields:tt)+)?) => {{
        #[cfg(feature = "tracing")]
        let span = {
            #[allow(unused_imports, reason = "most spans know all fields when they begin")]
            use tracing::field::Empty;
            tracing::debug_span!(target: "annals", $name $(, $($fields)+)?).entered()
        };
        #[cfg(not(feature = "tracing"))]
        let span = $crate::trace::NoSpan;
        span
    }};
}

/// Sets a field of a span.
macro_rules! note {
    ($span:expr, $field:literal, $value:expr) => {
        #[cfg(feature = "tracing")]
        $span.record($field, $value);
        #[cfg(not(feature = "tracing"))]
        let _ = &$span;
    };
}

pub(crate) use {note, span};

/// Takes the place of a span.
#[cfg(not(feature = "tracing"))]
pub(crate) struct NoSpan;
