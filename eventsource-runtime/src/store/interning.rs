//! The names of event types, shared by the events that are read together.

use std::sync::Arc;

/// The names of the types that a page of events has.
#[derive(Default)]
pub(super) struct TypeNames(Vec<Arc<str>>);

impl TypeNames {
    /// The name, shared with the events before.
    pub(super) fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.iter().find(|known| ***known == *name) {
            return Arc::clone(known);
        }
        let made: Arc<str> = name.into();
        self.0.push(Arc::clone(&made));
        made
    }
}
