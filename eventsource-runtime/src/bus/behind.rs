//! Which messages of a batch must not be published any more.

use std::collections::HashSet;
use std::future::Future;

use super::error::PublishError;
use super::message::Message;
use crate::store::StreamId;

/// The streams of which a message was not published: no later one may be.
#[derive(Debug, Default)]
pub(super) struct Behind(HashSet<StreamId>);

impl Behind {
    /// What becomes of publishing a message, which is refused if it comes after one that was not published.
    pub(super) async fn publish<T>(
        &mut self,
        message: &Message,
        publishing: impl Future<Output = Result<T, PublishError>>,
    ) -> Result<T, PublishError> {
        self.check(message)?;
        publishing.await.inspect_err(|_| self.note(message))
    }

    /// Refuses a message that comes after one that was not published.
    pub(super) fn check(&self, message: &Message) -> Result<(), PublishError> {
        match message.stream() {
            Some(stream) if self.0.contains(stream) => Err(PublishError::behind(stream.as_str())),
            _ => Ok(()),
        }
    }

    /// Notes that a message was not published. One without a stream holds up none.
    pub(super) fn note(&mut self, message: &Message) {
        self.0.extend(message.stream().cloned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_stream_of_a_message_that_failed_is_held_up() {
        let of = |id: u32| Message::new(StreamId::new("Order", id), "OrderPlaced", "{}");
        let foreign = Message::read([], "{}".into());
        let mut behind = Behind::default();
        behind.note(&of(1));
        behind.note(&foreign);
        assert!(matches!(behind.check(&of(1)), Err(PublishError::Behind { .. })));
        assert!(behind.check(&of(2)).is_ok() && behind.check(&foreign).is_ok());
    }
}
