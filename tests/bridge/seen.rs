//! The tree of spans as a layer of `tracing` sees it, with nothing of OpenTelemetry in between.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex};

use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Spans in the order in which they were made, and how many have been closed.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<(Vec<Made>, usize)>>);

struct Made {
    name: String,
    target: &'static str,
    parent: Option<usize>,
}

/// A span's place in that order.
struct Place(usize);

impl Seen {
    /// The names as a tree.
    pub(crate) fn names(&self) -> String {
        self.names_of_each().join(" ")
    }

    /// The same, of each root.
    pub(crate) fn names_of_each(&self) -> Vec<String> {
        below(&self.0.lock().unwrap().0, None)
    }

    /// The first words of names, each with its target.
    pub(crate) fn targets(&self) -> Vec<(String, String)> {
        let seen = self.0.lock().unwrap();
        let targets: BTreeSet<_> =
            seen.0.iter().map(|made| (first(&made.name).to_owned(), made.target.to_owned())).collect();
        targets.into_iter().collect()
    }

    /// How many have been closed.
    pub(crate) fn ended(&self) -> usize {
        self.0.lock().unwrap().1
    }
}

/// The first word of a name.
pub(crate) fn first(name: &str) -> &str {
    name.split_once(['.', ' ']).map_or(name, |(first, _)| first)
}

fn below(all: &[Made], parent: Option<usize>) -> Vec<String> {
    let children = all.iter().enumerate().filter(|(_, made)| made.parent == parent);
    children
        .map(|(place, made)| match below(all, Some(place)) {
            inner if inner.is_empty() => made.name.clone(),
            inner => format!("{}({})", made.name, inner.join(" ")),
        })
        .collect()
}

/// What the field with the name holds, if there is one.
struct Name(String);

impl Visit for Name {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "otel.name" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for Seen {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).expect("the registry has it");
        let parent = span.parent().and_then(|parent| parent.extensions().get::<Place>().map(|place| place.0));
        let mut name = Name(span.name().to_owned());
        attributes.record(&mut name);
        let mut seen = self.0.lock().unwrap();
        span.extensions_mut().insert(Place(seen.0.len()));
        seen.0.push(Made { name: name.0, target: attributes.metadata().target(), parent });
    }

    fn on_close(&self, _: Id, _: Context<'_, S>) {
        self.0.lock().unwrap().1 += 1;
    }
}
