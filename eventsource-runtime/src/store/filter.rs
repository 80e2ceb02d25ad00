//! Which events of the feed are shown.

use std::borrow::Cow;
use std::sync::Arc;

use crate::domain::{Event, names_of};

/// Which events of the global feed to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    event_types: Option<Arc<[Name]>>,
    aggregate_types: Option<Arc<[Name]>>,
}

/// A name that the program knows, or that it has read.
type Name = Cow<'static, str>;

impl Filter {
    /// Every event.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Only events of this type, under its stored name or one of its aliases, and of the types that were named before.
    ///
    /// ```
    /// # use eventsource_runtime::prelude::*;
    /// # use eventsource_runtime::store::Filter;
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Event, Serialize, Deserialize)]
    /// #[event(alias("OrderCreated"))]
    /// struct OrderPlaced {}
    ///
    /// let placed = Filter::all().event::<OrderPlaced>();
    /// assert!(placed.shows("OrderPlaced", "Order") && placed.shows("OrderCreated", "Order"));
    /// assert!(!placed.shows("OrderShipped", "Order"));
    /// ```
    #[must_use]
    pub fn event<E: Event>(self) -> Self {
        let names: Vec<_> = self
            .listed_event_types()
            .into_iter()
            .flatten()
            .cloned()
            .chain(names_of::<E>().map(Cow::Borrowed))
            .collect();
        self.event_types(names)
    }

    /// Only events of these stored names, whatever was named before. An alias is a name of its own here: prefer
    /// [`event`](Self::event).
    #[must_use]
    pub fn event_types<N: Into<Cow<'static, str>>>(self, names: impl IntoIterator<Item = N>) -> Self {
        Self { event_types: Some(names.into_iter().map(Into::into).collect()), ..self }
    }

    /// Only events of aggregates of these types.
    #[must_use]
    pub fn aggregate_types<N: Into<Cow<'static, str>>>(self, names: impl IntoIterator<Item = N>) -> Self {
        Self { aggregate_types: Some(names.into_iter().map(Into::into).collect()), ..self }
    }

    /// The stored names of the events that it shows, or `None` if it shows all: for stores that filter at the source.
    #[must_use]
    pub fn listed_event_types(&self) -> Option<&[Cow<'static, str>]> {
        self.event_types.as_deref()
    }

    /// The types of the aggregates whose events it shows, or `None` if it shows all.
    #[must_use]
    pub fn listed_aggregate_types(&self) -> Option<&[Cow<'static, str>]> {
        self.aggregate_types.as_deref()
    }

    /// Whether the filter shows an event.
    #[must_use]
    pub fn shows(&self, event_type: &str, aggregate_type: &str) -> bool {
        let listed = |names: &Option<Arc<[Name]>>, name: &str| {
            names.as_ref().is_none_or(|names| names.iter().any(|listed| listed == name))
        };
        listed(&self.event_types, event_type) && listed(&self.aggregate_types, aggregate_type)
    }
}
