//! Hashing of what the in-memory store looks up on each call: a few instructions, and seeded, so that nobody can choose
//! keys that collide.

use std::hash::{BuildHasher, Hasher, RandomState};

pub(super) struct Seeded {
    seeds: [u64; 2],
}

impl Default for Seeded {
    fn default() -> Self {
        let random = RandomState::new();
        Self { seeds: [random.hash_one(1), random.hash_one(2)] }
    }
}

impl BuildHasher for Seeded {
    type Hasher = Folding;

    fn build_hasher(&self) -> Folding {
        Folding { seeds: self.seeds, hash: 0 }
    }
}

/// Multiplies 16 bytes at a time, mixed with secret seeds, and folds the product into the next.
pub(super) struct Folding {
    seeds: [u64; 2],
    hash: u64,
}

impl Hasher for Folding {
    #[expect(clippy::cast_possible_truncation, reason = "the halves of a number, one by one")]
    #[inline]
    fn write_u128(&mut self, number: u128) {
        let (low, high) = (number as u64, (number >> 64) as u64);
        let product = u128::from(low ^ self.seeds[0] ^ self.hash) * u128::from(high ^ self.seeds[1]);
        self.hash = product as u64 ^ (product >> 64) as u64;
    }

    #[inline]
    fn write_u8(&mut self, byte: u8) {
        self.write_u128(u128::from(byte));
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks();
        for block in blocks {
            self.write_u128(u128::from_le_bytes(*block));
        }
        let mut last = [0; 16];
        last[..rest.len()].copy_from_slice(rest);
        // With the length, since the padding zeros could also be data.
        self.write_u128(u128::from_le_bytes(last) ^ (bytes.len() as u128) << 120);
    }

    fn finish(&self) -> u64 {
        self.hash
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn texts_that_differ_in_any_byte_place_or_length_differ() {
        let seeded = Seeded::default();
        let text = "Order-019371f8-7d0e-7f2c-a9f5-2f9f0c8a6a1b";
        let mut hashes = HashSet::from([seeded.hash_one(text)]);
        for place in 0..text.len() {
            let mut changed = text.as_bytes().to_vec();
            changed[place] ^= 1;
            hashes.insert(seeded.hash_one(std::str::from_utf8(&changed).unwrap()));
            hashes.insert(seeded.hash_one(&text[..place]));
        }
        let blocks = [["a"; 16].concat(), ["b"; 16].concat()];
        hashes.insert(seeded.hash_one(blocks.concat().as_str()));
        hashes.insert(seeded.hash_one([&*blocks[1], &*blocks[0]].concat().as_str()));
        hashes.insert(seeded.hash_one("a"));
        hashes.insert(seeded.hash_one("a\0"));
        assert_eq!(hashes.len(), 1 + 2 * text.len() + 4);
    }

    #[test]
    fn another_seed_makes_other_hashes() {
        assert_ne!(Seeded::default().hash_one("Order-1"), Seeded::default().hash_one("Order-1"));
    }
}
