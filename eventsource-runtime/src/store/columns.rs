//! What stores with columns have in common in writing and reading events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::StreamId;
use super::interning::TypeNames;
use super::stream_id::InvalidStreamId;
use crate::domain::Metadata;
use crate::telemetry::TraceContext;

/// A number as databases store it. One that does not fit is beyond any event.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A time in milliseconds; one that does not fit is longer than anybody waits.
pub(super) fn millis(term: Duration) -> i64 {
    i64::try_from(term.as_millis()).unwrap_or(i64::MAX).min(1 << 50)
}

/// A JSON object of texts; `None` if empty.
pub(super) fn metadata_text(metadata: &Metadata) -> Option<String> {
    (!metadata.is_empty()).then(|| {
        let texts = metadata.iter().map(|(name, value)| (name.to_owned(), value.into()));
        serde_json::Value::Object(texts.collect()).to_string()
    })
}

pub(super) fn metadata(text: Option<&str>) -> Result<Metadata, serde_json::Error> {
    let Some(text) = text else { return Ok(Metadata::default()) };
    let texts: BTreeMap<String, String> = serde_json::from_str(text)?;
    Ok(texts.into_iter().collect())
}

/// A stored trace context, and whether any of it is malformed. That is not an error: the event goes without it.
pub(super) fn trace_context(parent: Option<&str>, state: Option<&str>) -> (Option<TraceContext>, bool) {
    let Some(parent) = parent else { return (None, false) };
    let Ok(context) = parent.parse::<TraceContext>() else { return (None, true) };
    let (context, malformed) = context.with_foreign_state(state);
    (Some(context), malformed)
}

/// Names that the events of a page share.
#[derive(Default)]
pub(super) struct Names {
    types: TypeNames,
    stream: Option<StreamId>,
}

impl Names {
    pub(super) fn event_type(&mut self, name: &str) -> Arc<str> {
        self.types.shared(name)
    }

    pub(super) fn stream(&mut self, name: &str) -> Result<StreamId, InvalidStreamId> {
        match &self.stream {
            Some(known) if known.as_str() == name => Ok(known.clone()),
            _ => Ok(self.stream.insert(StreamId::stored(name)?).clone()),
        }
    }
}
