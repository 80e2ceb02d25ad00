//! What a receiver's answer to an export says: protobuf with the same field numbers for all signals.

/// How many items the receiver did not take, although it answered that all is well, and why; `None` if it took all
/// without a word. Of what is no such answer nothing is read.
pub(super) fn rejected(answer: &[u8]) -> Option<(u64, String)> {
    let partial_success = Fields(answer).find_map(|field| match field {
        (1, Value::Bytes(message)) => Some(message),
        _ => None,
    })?;
    let (mut count, mut reason) = (0, String::new());
    for field in Fields(partial_success) {
        match field {
            // A negative number is none.
            (1, Value::Number(number)) => count = i64::try_from(number).map_or(0, i64::unsigned_abs),
            (2, Value::Bytes(text)) => reason = String::from_utf8_lossy(text).into_owned(),
            _ => {}
        }
    }
    (count > 0 || !reason.is_empty()).then_some((count, reason))
}

/// The fields of a message, up to where it is malformed.
struct Fields<'a>(&'a [u8]);

#[derive(Debug)]
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Fields<'a> {
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn bytes(&mut self, length: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.number()?;
        let value = match key & 7 {
            0 => Value::Number(self.number()?),
            1 => Value::Bytes(self.bytes(8)?),
            2 => {
                let length = self.number()?;
                Value::Bytes(self.bytes(length)?)
            }
            5 => Value::Bytes(self.bytes(4)?),
            _ => return None,
        };
        Some((key >> 3, value))
    }
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
