//! The routes of a bus: by the types of messages, and by their names on the wire, which are not necessarily unique.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;

use foldhash::fast::FixedState;

/// The routes of messages, and those of JSON messages, by name.
pub(super) struct Routes<R: ?Sized> {
    /// Each under its own type, which names its message.
    typed: HashMap<TypeId, Box<dyn Any + Send + Sync>, FixedState>,
    named: HashMap<&'static str, Entry<R>>,
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

impl<R: ?Sized> Routes<R> {
    /// Adds those of `M`. They replace earlier ones of the same type; another type makes the name ambiguous for good.
    pub(super) fn insert<M: 'static, T: Send + Sync + 'static>(&mut self, name: &'static str, route: T, json: Box<R>) {
        self.typed.insert(TypeId::of::<T>(), Box::new(route));
        self.add(name, (TypeId::of::<M>(), type_name::<M>()), json);
    }

    /// The route of this type.
    pub(super) fn typed<T: 'static>(&self) -> Option<&T> {
        self.typed.get(&TypeId::of::<T>())?.downcast_ref()
    }

    /// Not generic, since it is the same for all messages.
    fn add(&mut self, name: &'static str, message: (TypeId, &'static str), route: Box<R>) {
        match self.named.get_mut(name) {
            Some(entry) if entry.message.0 != message.0 => entry.clash = Some(message.1),
            Some(entry) => entry.route = route,
            None => drop(self.named.insert(name, Entry { message, clash: None, route })),
        }
    }

    pub(super) fn find(&self, name: &str) -> Found<'_, R> {
        let Some((name, entry)) = self.named.get_key_value(name) else { return Found::Unknown };
        match entry.clash {
            None => Found::Route(&entry.route),
            Some(other) => Found::Ambiguous { name, types: [entry.message.1, other] },
        }
    }

    pub(super) fn len(&self) -> usize {
        self.named.len()
    }

    pub(super) fn sorted(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.named.keys().copied().collect();
        names.sort_unstable();
        names
    }
}

impl<R: ?Sized> Default for Routes<R> {
    fn default() -> Self {
        Self { typed: HashMap::default(), named: HashMap::new() }
    }
}
