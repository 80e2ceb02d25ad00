//! Bounded sets of names that come from outside: a producer that puts ids into routing keys or event types creates no
//! more metric series, and no more span names, than are allowed here.

use std::collections::BTreeSet;
use std::fmt;

use crate::sync::RwLock;

/// How many names a set keeps apart. Later ones count as others.
pub const MAX_NAMES: usize = 1000;

/// The names seen first.
#[derive(Default)]
pub(crate) struct BoundedNames(RwLock<BTreeSet<Box<str>>>);

impl BoundedNames {
    /// Whether a name is kept apart; while there is room, a new one is added.
    pub(crate) fn knows(&self, name: &str) -> bool {
        let known = self.0.read();
        if known.contains(name) {
            return true;
        }
        if known.len() >= MAX_NAMES {
            return false;
        }
        drop(known);
        let mut known = self.0.write();
        // Others may have come in between.
        let has_room = known.len() < MAX_NAMES;
        if has_room {
            known.insert(name.into());
        }
        has_room || known.contains(name)
    }

    /// The name if it is kept apart, else the one that the semantic conventions have for all others.
    #[cfg_attr(not(feature = "otel"), allow(dead_code, reason = "for metrics"))]
    pub(crate) fn or_other<'a>(&self, name: &'a str) -> &'a str {
        if self.knows(name) { name } else { "_OTHER" }
    }
}

impl fmt::Debug for BoundedNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoundedNames")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_names_are_told_apart_the_first_for_ever() {
        let names = BoundedNames::default();
        for nth in 0..MAX_NAMES {
            assert!(names.knows(&format!("name {nth}")));
        }
        assert_eq!((names.or_other("one more"), names.or_other("name 0")), ("_OTHER", "name 0"));
    }
}
