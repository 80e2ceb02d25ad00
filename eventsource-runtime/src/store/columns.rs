//! How stores that have columns keep an event: what they write and read alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::stream_id::InvalidStreamId;
use super::{AppendError, Appended, NewEvent, Position, StreamId, Version};
use crate::domain::Metadata;
use crate::telemetry::TraceContext;

/// A number as databases keep it. What does not fit is beyond any event.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A JSON object of texts; nothing where nothing is kept.
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

/// A stored trace context, and whether any of it is malformed. That is no error: the event goes without.
pub(super) fn trace_context(parent: Option<&str>, state: Option<&str>) -> (Option<TraceContext>, bool) {
    let Some(parent) = parent else { return (None, false) };
    let Ok(context) = parent.parse::<TraceContext>() else { return (None, true) };
    match state.filter(|state| !state.is_empty()) {
        None => (Some(context), false),
        Some(state) => {
            let context = context.with_state(state);
            let dropped = context.tracestate().is_none();
            (Some(context), dropped)
        }
    }
}

/// Names that the events of a page have in common.
#[derive(Default)]
pub(super) struct Names {
    types: Vec<Arc<str>>,
    stream: Option<StreamId>,
}

impl Names {
    pub(super) fn event_type(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.types.iter().find(|known| ***known == *name) {
            return Arc::clone(known);
        }
        let made: Arc<str> = name.into();
        self.types.push(Arc::clone(&made));
        made
    }

    pub(super) fn stream(&mut self, name: &str) -> Result<StreamId, InvalidStreamId> {
        match &self.stream {
            Some(known) if known.as_str() == name => Ok(known.clone()),
            _ => Ok(self.stream.insert(name.parse()?).clone()),
        }
    }
}

/// An event whose id is stored.
pub(super) struct Known {
    pub(super) version: u64,
    pub(super) position: u64,
    /// In this stream and with this content. When it was decided, and in which trace, may differ.
    pub(super) same: bool,
}

/// The result of the append that stored these very events, if one did. What is new at first must be new throughout:
/// no part of an append is ever stored.
pub(super) fn repeated(
    stream: &StreamId,
    events: &[NewEvent],
    mut known: impl FnMut(&NewEvent) -> Result<Option<Known>, AppendError>,
) -> Result<Option<Appended>, AppendError> {
    let mut last: Option<(u64, u64)> = None;
    for (ordinal, event) in events.iter().enumerate() {
        let Some(known) = known(event)? else {
            match last {
                Some(_) => return Err(mismatch(stream, event)),
                None => continue,
            }
        };
        let follows = last.map_or(ordinal == 0, |(version, _)| known.version == version + 1);
        if !known.same || !follows {
            return Err(mismatch(stream, event));
        }
        last = Some((known.version, known.position));
    }
    Ok(last.map(|(version, position)| {
        Appended::new(Version::new(version), Position::new(position), events.len() as u64).repeated()
    }))
}

pub(super) fn mismatch(stream: &StreamId, event: &NewEvent) -> AppendError {
    AppendError::IdempotencyMismatch { stream: stream.clone(), id: event.id }
}
