//! The hash of what is stored or shared with others: the standard library's may change from one release to the next,
//! and with it the queue or partition of a stream.

use uuid::Uuid;

/// FNV-1a.
pub(crate) fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The same, mixed: names of streams differ in few places.
pub(crate) fn spread(bytes: impl IntoIterator<Item = u8>) -> u64 {
    mixed(fnv1a(bytes))
}

/// A sum with its weak upper bits mixed into all of it.
pub(crate) fn mixed(sum: u64) -> u64 {
    (sum ^ (sum >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The id of what is done about `cause` for a purpose: the same each time.
pub(crate) fn derived(cause: Uuid, purpose: impl IntoIterator<Item = u8>) -> Uuid {
    let sum = spread(cause.as_bytes().iter().copied().chain(purpose));
    following(cause, sum ^ (sum >> 29))
}

/// Derives an id from another and a hash. It keeps the time of a version 7 UUID, so that an index on such ids grows at
/// its end.
pub(crate) fn following(id: Uuid, sum: u64) -> Uuid {
    /// The bits below the variant.
    const LOW: u128 = (1 << 62) - 1;
    Uuid::from_u128((id.as_u128() & !LOW) | (u128::from(sum) & LOW))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_hash_that_others_compute() {
        assert_eq!(fnv1a([]), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(*b"foobar"), 0x8594_4171_f739_67e8);
    }
}
