//! The name of a message's span, composed at compile time.

/// The longest name of a span, in bytes.
const LONGEST: usize = 255;

/// `side.name`: a macro cannot concatenate constants of a trait.
pub(super) struct SpanName {
    bytes: [u8; LONGEST],
    length: usize,
}

impl SpanName {
    pub(super) const fn new(side: &str, name: &str) -> Self {
        let length = side.len() + 1 + name.len();
        assert!(
            length <= LONGEST,
            "the name of a message's span is longer than 255 bytes; give the message a shorter one with `name`"
        );
        let mut bytes = [b'.'; LONGEST];
        bytes.split_at_mut(side.len()).0.copy_from_slice(side.as_bytes());
        bytes.split_at_mut(side.len() + 1).1.split_at_mut(name.len()).0.copy_from_slice(name.as_bytes());
        Self { bytes, length }
    }

    pub(super) const fn as_str(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.length).0) {
            Ok(name) => name,
            Err(_) => unreachable!(),
        }
    }
}
