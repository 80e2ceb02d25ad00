//! What a receiver's answer to an export says: protobuf with the same field numbers for all signals.

use prost::Message;

#[derive(Message)]
struct Answer {
    #[prost(message, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    count: i64,
    /// A text, which may be malformed.
    #[prost(bytes = "vec", tag = "2")]
    reason: Vec<u8>,
}

/// How many items the receiver did not take, although it answered that all is well, and why; `None` if it took all
/// without a word. Of what is no such answer nothing is read.
pub(super) fn rejected(answer: &[u8]) -> Option<(u64, String)> {
    let PartialSuccess { count, reason } = Answer::decode(answer).ok()?.partial_success?;
    // A negative number is none.
    let count = u64::try_from(count).unwrap_or_default();
    (count > 0 || !reason.is_empty()).then(|| (count, String::from_utf8_lossy(&reason).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_receiver_rejects_is_read_and_nothing_else() {
        let full = b"\x0a\x0a\x08\xac\x02\x12\x05quota";
        assert_eq!(rejected(full), Some((300, "quota".to_owned())));
        assert_eq!(rejected(b"\x0a\x02\x08\x03"), Some((3, String::new())));
        assert_eq!(rejected(b"\x0a\x07\x12\x05quota"), Some((0, "quota".to_owned())), "a warning");
        // Unknown fields of each kind before it.
        let unknown = [&b"\x10\x01\x19\0\0\0\0\0\0\0\0\x25\0\0\0\0\x2a\x01x"[..], full].concat();
        assert_eq!(rejected(&unknown), Some((300, "quota".to_owned())));
        let nothing: [&[u8]; 5] = [b"", b"\x0a\0", b"\x0a\x02\x08\0", b"<html></html>", b"{\"partialSuccess\":{}}"];
        for answer in nothing.into_iter().chain((0..full.len()).map(|length| &full[..length])) {
            assert_eq!(rejected(answer), None, "{answer:?}");
        }
        assert_eq!(rejected(b"\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), None, "a negative number");
        assert_eq!(rejected(&[0xff; 40]), None);
    }
}
