//! Messages by their names on the wire, which are not necessarily unique.

use std::any::{TypeId, type_name};
use std::collections::HashMap;

/// The routes of JSON messages, by name.
pub(super) struct Names<R: ?Sized> {
    of: HashMap<&'static str, Entry<R>>,
}

struct Entry<R: ?Sized> {
    message: (TypeId, &'static str),
    /// Another type of the same name: then neither is run, since it is unclear which was meant.
    clash: Option<&'static str>,
    route: Box<R>,
}

/// What a name leads to.
pub(super) enum Found<'a, R: ?Sized> {
    Route(&'a R),
    Unknown,
    /// Two types have the name.
    Ambiguous {
        name: &'static str,
        types: [&'static str; 2],
    },
}

impl<R: ?Sized> Names<R> {
    /// A route of the same type replaces the one before; one of another type makes the name ambiguous for good.
    pub(super) fn insert<M: 'static>(&mut self, name: &'static str, route: Box<R>) {
        self.add(name, (TypeId::of::<M>(), type_name::<M>()), route);
    }

    /// Not generic, since it is the same for all messages.
    fn add(&mut self, name: &'static str, message: (TypeId, &'static str), route: Box<R>) {
        match self.of.get_mut(name) {
            Some(entry) if entry.message.0 != message.0 => entry.clash = Some(message.1),
            Some(entry) => entry.route = route,
            None => drop(self.of.insert(name, Entry { message, clash: None, route })),
        }
    }

    pub(super) fn find(&self, name: &str) -> Found<'_, R> {
        let Some((name, entry)) = self.of.get_key_value(name) else { return Found::Unknown };
        match entry.clash {
            None => Found::Route(&entry.route),
            Some(other) => Found::Ambiguous { name, types: [entry.message.1, other] },
        }
    }

    pub(super) fn len(&self) -> usize {
        self.of.len()
    }

    pub(super) fn sorted(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.of.keys().copied().collect();
        names.sort_unstable();
        names
    }
}

impl<R: ?Sized> Default for Names<R> {
    fn default() -> Self {
        Self { of: HashMap::new() }
    }
}
