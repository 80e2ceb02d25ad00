//! Memory that each thread keeps for what is written and then copied: a buffer made for every command would grow in
//! steps, each an allocation, and end up larger than its content.

use std::cell::Cell;

/// How much a thread keeps, in bytes.
const KEPT: usize = 64 * 1024;

thread_local! {
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends an empty vector. A caller that asks while it is lent, or at the end of the thread, gets one of its own.
pub(crate) fn bytes<R>(write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let mut room = ROOM.try_with(Cell::take).unwrap_or_default();
    let result = write(&mut room);
    if room.capacity() <= KEPT {
        room.clear();
        let _ = ROOM.try_with(|kept| kept.set(room));
    }
    result
}

/// The same for text.
pub(crate) fn text<R>(write: impl FnOnce(&mut String) -> R) -> R {
    bytes(|room| {
        let mut text = String::from_utf8(std::mem::take(room)).unwrap_or_default();
        let result = write(&mut text);
        *room = text.into_bytes();
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_before_is_never_seen() {
        for size in [10, KEPT + 1, 10] {
            bytes(|outer| {
                assert!(outer.is_empty());
                outer.resize(size, 1);
                text(|inner| {
                    assert!(inner.is_empty());
                    inner.push_str("inner");
                });
                assert_eq!(outer.len(), size);
            });
        }
    }

    #[test]
    fn no_more_is_kept_than_is_said() {
        bytes(|room| room.reserve(KEPT * 2));
        assert!(bytes(|room| room.capacity()) <= KEPT);
        bytes(|room| room.reserve(100));
        assert!(bytes(|room| room.capacity()) >= 100);
    }
}
