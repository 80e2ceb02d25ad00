//! What can be a parent or a link: anything that carries a trace context.

use std::rc::Rc;
use std::sync::Arc;

use uuid::Uuid;

use super::TraceContext;

/// Carries the trace context of what led to it. You can implement it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` carries no trace context",
    note = "`parent` and `links` take a `TraceContext`, a `Recorded` event, a `StoredEvent`, or an `Option` or list of these"
)]
pub trait Linked {
    /// Adds each context, with the id of the event that carried it.
    fn contexts(&self, add: &mut dyn FnMut(&TraceContext, Option<Uuid>));
}

impl Linked for TraceContext {
    fn contexts(&self, add: &mut dyn FnMut(&TraceContext, Option<Uuid>)) {
        add(self, None);
    }
}

impl<T: Linked> Linked for Option<T> {
    fn contexts(&self, add: &mut dyn FnMut(&TraceContext, Option<Uuid>)) {
        if let Some(linked) = self {
            linked.contexts(add);
        }
    }
}

impl<T: Linked> Linked for [T] {
    fn contexts(&self, add: &mut dyn FnMut(&TraceContext, Option<Uuid>)) {
        for linked in self {
            linked.contexts(add);
        }
    }
}

impl<T: Linked, const N: usize> Linked for [T; N] {
    fn contexts(&self, add: &mut dyn FnMut(&TraceContext, Option<Uuid>)) {
        self.as_slice().contexts(add);
    }
}

macro_rules! pointers {
    ($($type:ty),*) => {
        $(impl<T: Linked + ?Sized> Linked for $type {
            fn contexts(&self, add: &mut dyn FnMut(&TraceContext, Option<Uuid>)) {
                (**self).contexts(add);
            }
        })*
    };
}
pointers!(&T, Box<T>, Rc<T>, Arc<T>);

impl<T: Linked> Linked for Vec<T> {
    fn contexts(&self, add: &mut dyn FnMut(&TraceContext, Option<Uuid>)) {
        self.as_slice().contexts(add);
    }
}
