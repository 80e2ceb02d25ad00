//! The outcome of a publication.

use lapin::ErrorKind;

use super::topology;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Confirmed,
    /// No queue takes it.
    CameBack,
    Refused,
    /// The channel is gone, because this message or another one is longer than so many bytes.
    Exceeded(usize),
    /// The broker closed the channel, with that code, because of this message or another one.
    Closed(&'static str),
    /// The channel is gone.
    Unknown,
}

impl Fate {
    /// The outcome of all that was in flight when the channel went. Only the text says why the broker closed it.
    pub(super) fn of(error: &lapin::Error) -> Self {
        let ErrorKind::ProtocolError(told) = error.kind() else { return Self::Unknown };
        let limit = told.get_message().as_str().rsplit_once("max size ").and_then(|(_, limit)| limit.parse().ok());
        limit.map_or_else(|| topology::code(error).map_or(Self::Unknown, Self::Closed), Self::Exceeded)
    }
}
