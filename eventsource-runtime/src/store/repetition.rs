//! Repeated appends.

use super::{AppendError, Appended, NewEvent, Position, StreamId, Version};

/// An event whose id is stored.
pub(super) struct Known {
    pub(super) version: u64,
    pub(super) position: u64,
    /// In this stream and with this content. When it was decided, and in which trace, may differ.
    pub(super) same: bool,
}

/// The result of the append that stored these same events, if one did. If the first event is new, all must be: no part
/// of an append is ever stored.
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
    AppendError::mismatch(stream.clone(), event.id)
}
