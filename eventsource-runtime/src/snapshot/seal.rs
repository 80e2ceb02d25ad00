//! The checksum of a snapshot: over the state and its metadata, so that one that was damaged, or put in another
//! stream's place, is not taken for a state.

use bytes::Bytes;

use super::{LastEvent, Schema, StoredSnapshot};
use crate::store::StreamId;

/// How many hexadecimal digits end a state's bytes.
const DIGITS: usize = 16;

impl StoredSnapshot {
    /// A snapshot of a state that was written as JSON.
    pub(crate) fn seal(stream: StreamId, last: LastEvent, schema: Schema, mut json: Vec<u8>) -> Self {
        let sum = checksum(&stream, last, schema, &json);
        json.extend_from_slice(format!("{sum:016x}").as_bytes());
        Self::new(stream, last, schema, Bytes::from(json))
    }

    /// The state as it was written, unless something here has changed since.
    pub(crate) fn unseal(&self) -> Option<&[u8]> {
        let (json, digits) = self.state.split_at_checked(self.state.len().checked_sub(DIGITS)?)?;
        let sum = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        (sum == checksum(&self.stream, self.last, self.schema, json)).then_some(json)
    }
}

fn checksum(stream: &StreamId, last: LastEvent, schema: Schema, json: &[u8]) -> u64 {
    let (id_high, id_low) = last.id.as_u64_pair();
    let numbers = [
        last.version.get(),
        last.position.get(),
        id_high,
        id_low,
        schema.version.into(),
        schema.hash,
        json.len() as u64,
    ];
    let mut sum = Sum(0);
    for number in numbers {
        sum.add(number);
    }
    sum.add_bytes(stream.as_str().as_bytes());
    sum.add_bytes(json);
    sum.0
}

/// Each step is invertible, so that two inputs that differ in one word never have the same sum.
struct Sum(u64);

impl Sum {
    fn add(&mut self, word: u64) {
        /// Odd, with its bits well spread.
        const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
        self.0 = (self.0 ^ word).wrapping_mul(FACTOR);
        self.0 ^= self.0 >> 32;
    }

    fn add_bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.add(u64::from_le_bytes(last));
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::store::{Position, Version};

    const SCHEMA: Schema = Schema { version: 1, hash: 7 };

    const LAST: LastEvent = LastEvent { version: Version::new(3), position: Position::new(9), id: Uuid::from_u128(5) };

    fn sealed() -> StoredSnapshot {
        StoredSnapshot::seal(StreamId::new("Order", 1), LAST, SCHEMA, br#"{"lines":[1,2,3]}"#.to_vec())
    }

    #[test]
    fn what_was_sealed_comes_back() {
        assert_eq!(sealed().unseal(), Some(&br#"{"lines":[1,2,3]}"#[..]));
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        let snapshot = sealed();
        for bit in 0..snapshot.state.len() * 8 {
            let mut state = snapshot.state.to_vec();
            state[bit / 8] ^= 1 << (bit % 8);
            let same_number = state.eq_ignore_ascii_case(&snapshot.state);
            let damaged = StoredSnapshot { state: state.into(), ..snapshot.clone() };
            assert!(damaged.unseal().is_none() || same_number, "bit {bit}");
        }
    }

    #[test]
    fn any_length_but_the_whole_is_noticed() {
        let snapshot = sealed();
        for length in 0..snapshot.state.len() {
            let cut = StoredSnapshot { state: snapshot.state.slice(..length), ..snapshot.clone() };
            assert!(cut.unseal().is_none(), "{length} bytes");
        }
    }

    #[test]
    fn what_is_said_of_the_state_is_sealed_too() {
        let snapshot = sealed();
        for other in [
            StoredSnapshot { stream: StreamId::new("Order", 2), ..snapshot.clone() },
            StoredSnapshot { last: LastEvent { version: Version::new(4), ..LAST }, ..snapshot.clone() },
            StoredSnapshot { last: LastEvent { position: Position::new(8), ..LAST }, ..snapshot.clone() },
            StoredSnapshot { last: LastEvent { id: Uuid::from_u128(6), ..LAST }, ..snapshot.clone() },
            StoredSnapshot { schema: Schema { version: 2, ..SCHEMA }, ..snapshot.clone() },
            StoredSnapshot { schema: Schema { hash: 8, ..SCHEMA }, ..snapshot.clone() },
        ] {
            assert!(other.unseal().is_none(), "{other:?}");
        }
    }
}
