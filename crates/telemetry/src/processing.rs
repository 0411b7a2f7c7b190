//! A group of messages between its delivery and its ack: the span that its work runs in, and how long it took.

use crate::record::{Place, exports, record_processed};
use crate::spans::{Headers, failed, process_span};
use std::time::Instant;
use tracing::Span;

/// A group being processed. Dropping it without a word tells nothing but the span's end.
#[derive(Debug)]
pub struct Processing {
    place: Option<Place>,
    span: Span,
    began: Instant,
}

impl Processing {
    /// Begins a trace for a group of `messages`, linked to the spans that made them. `place` is asked only where it is told
    /// to somebody.
    pub fn begin<'a>(
        place: impl FnOnce() -> Place,
        messages: usize,
        headers: impl IntoIterator<Item = &'a Headers>,
    ) -> Self {
        let place = exports().then(place);
        let span = match &place {
            Some(place) => process_span(place, messages, headers),
            None => Span::none(),
        };
        Self { place, span, began: Instant::now() }
    }

    /// The span, for the work to run in.
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// The group is done with: acked, or given up for a reason that is told by a word of ours.
    pub fn end(self, error: Option<&'static str>) {
        let Some(place) = &self.place else { return };
        if let Some(word) = error {
            failed(&self.span, word);
        }
        record_processed(place, self.began.elapsed(), error);
    }
}
