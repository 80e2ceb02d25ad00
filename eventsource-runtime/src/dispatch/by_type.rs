//! Routes by the type of their message.

use std::any::TypeId;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map whose keys are types.
pub(super) type ByType<V> = HashMap<TypeId, V, BuildHasherDefault<Given>>;

/// A `TypeId` is a hash already: hashing it again would cost more than the lookup.
#[derive(Default)]
pub(super) struct Given(u64);

impl Hasher for Given {
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    /// In case `TypeId` is hashed in another way one day.
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn types_differ_by_hash() {
        let hash = |id| BuildHasherDefault::<Given>::default().hash_one(id);
        assert_ne!(hash(TypeId::of::<u8>()), hash(TypeId::of::<i8>()));
        assert_eq!(hash(TypeId::of::<u8>()), hash(TypeId::of::<u8>()));
    }
}
