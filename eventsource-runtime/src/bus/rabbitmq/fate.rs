//! The outcome of a publication.

use lapin::ErrorKind;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Confirmed,
    /// No queue takes it.
    CameBack,
    Refused,
    /// The channel is gone, because this message or another one is longer than so many bytes.
    Exceeded(usize),
    /// The channel is gone.
    Unknown,
}

impl Fate {
    /// The outcome of all that was in flight when the channel went. Only the text says why the broker closed it.
    pub(super) fn of(error: &lapin::Error) -> Self {
        let ErrorKind::ProtocolError(error) = error.kind() else { return Self::Unknown };
        let limit = error.get_message().as_str().rsplit_once("max size ").and_then(|(_, limit)| limit.parse().ok());
        limit.map_or(Self::Unknown, Self::Exceeded)
    }
}
