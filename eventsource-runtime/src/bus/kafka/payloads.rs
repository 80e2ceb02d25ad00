//! Payloads that outlive the client's buffer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::{Bytes, BytesMut};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};

use crate::bus::message::Message;

/// Where payloads are copied to: small ones share an allocation. One that is kept keeps those next to it.
#[derive(Default)]
pub(super) struct Payloads(BytesMut);

impl Payloads {
    const SIDE_BY_SIDE: usize = 16 << 10;
    const SMALL: usize = Self::SIDE_BY_SIDE / 16;

    /// A message as it came. A header without a value gets an empty one, and one whose name is not text is skipped.
    pub(super) fn read(&mut self, received: &BorrowedMessage<'_>) -> Message {
        let payload = self.copied(received.payload().unwrap_or_default());
        let Some(headers) = received.headers() else { return Message::read([], payload) };
        // The client library panics at a name that is not UTF-8, which anybody may send.
        let header = |at| catch_unwind(AssertUnwindSafe(|| headers.try_get(at))).ok().flatten();
        let headers = (0..headers.count()).filter_map(header);
        Message::read(headers.map(|header| (header.key, header.value.unwrap_or_default())), payload)
    }

    fn copied(&mut self, payload: &[u8]) -> Bytes {
        if payload.len() > Self::SMALL {
            return Bytes::copy_from_slice(payload);
        }
        if self.0.capacity() < payload.len() {
            self.0 = BytesMut::with_capacity(Self::SIDE_BY_SIDE);
        }
        self.0.extend_from_slice(payload);
        self.0.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_payload_is_its_own_however_many_share_their_room() {
        let mut payloads = Payloads::default();
        let lengths = [0, 1, 700, Payloads::SMALL, Payloads::SMALL + 1, 1 << 20];
        let all: Vec<_> = (0..20).flat_map(|n| lengths.map(|length| vec![n; length])).collect();
        let copied: Vec<_> = all.iter().map(|payload| payloads.copied(payload)).collect();
        assert_eq!(copied, all);
    }
}
