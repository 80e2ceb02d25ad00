//! The fixed part of a traced function's span, with a copy of the process's switch.

use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use super::{method_names, toggle};
use crate::telemetry::site::{Kind, Literal};

/// The fixed part of a span: one static for each traced function.
///
/// The switch is copied into it, because finding a static of another crate costs one load more.
#[derive(Debug)]
pub struct Site {
    switch: AtomicU8,
    name: &'static str,
    pub(super) kind: Kind,
    pub(super) literals: &'static [(&'static str, Literal)],
    pub(super) keys: &'static [&'static str],
    /// The first type whose method was called, and the span's name then.
    joined: OnceLock<(&'static str, &'static str)>,
}

impl Site {
    /// A span of that name and kind, with the attributes whose values are literals, and the keys of the others.
    #[must_use]
    pub const fn new(
        name: &'static str,
        kind: Kind,
        literals: &'static [(&'static str, Literal)],
        keys: &'static [&'static str],
    ) -> Self {
        Self { switch: AtomicU8::new(toggle::UNREAD), name, kind, literals, keys, joined: OnceLock::new() }
    }

    /// False if spans are surely off; the whole cost of a span that is off.
    #[inline(always)]
    pub fn may_be_on(&self) -> bool {
        self.switch.load(Ordering::Relaxed) != toggle::OFF
    }

    /// Whether spans are on, once `may_be_on` has said that they may be.
    #[inline]
    pub(super) fn is_on(&'static self) -> bool {
        match self.switch.load(Ordering::Relaxed) {
            toggle::OFF => return false,
            toggle::UNREAD if !toggle::copied_to(&self.switch) => return false,
            _ => {}
        }
        !toggle::is_muted()
    }

    /// The span's name, for a method with that of its type. A method of a trait, or of a generic type, may be that of
    /// many types: only the first is found here.
    pub(super) fn name(&'static self, owner: Option<&'static str>) -> &'static str {
        let Some(owner) = owner else { return self.name };
        match self.joined.get() {
            Some((known, name)) if ptr::eq(*known, owner) => name,
            _ => {
                let name = method_names::joined(owner, self.name);
                let _ = self.joined.set((owner, name));
                name
            }
        }
    }

    /// The most attributes that its span has at the start.
    pub(super) fn room(&self) -> usize {
        self.literals.len() + self.keys.len()
    }
}
