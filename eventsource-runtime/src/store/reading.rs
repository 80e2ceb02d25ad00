//! Reading event by event, over pages: a stream, the global feed, and a subscription that never ends.

use std::collections::VecDeque;

use super::{EventStore, Filter, Position, StoreError, StreamId, Traced, Version};
use crate::domain::StoredEvent;

/// How many events a page has: what is held in memory at a time.
const PAGE: usize = 512;
/// How many bytes of payloads end a page before it has as many events as were asked for.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) const LARGE_PAGE: usize = 4 * 1024 * 1024;

impl<S: EventStore> Traced<S> {
    /// The events of a stream after a version, in order; [`Version::START`] for all.
    ///
    /// They are read in pages of 512, or of 4 MiB of payloads where these are large, so that memory stays bounded
    /// however long the stream is. Events that are appended
    /// while it is read are shown too.
    ///
    /// ```
    /// # use eventsource_runtime::store::{MemoryStore, StreamId, Version};
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let store = MemoryStore::new();
    /// let mut events = store.load(&StreamId::new("Order", 42), Version::START);
    /// assert!(events.next().await?.is_none());
    /// # Ok::<(), eventsource_runtime::store::StoreError>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn load(&self, stream: &StreamId, after: Version) -> StreamEvents<S> {
        StreamEvents { store: self.clone(), stream: stream.clone(), after, page: VecDeque::new() }
    }

    /// The events of the global feed after a position that a filter shows, in order, up to the feed's end.
    #[must_use]
    pub fn feed(&self, after: Position, filter: Filter) -> EventFeed<S> {
        EventFeed { store: self.clone(), filter, after, page: VecDeque::new() }
    }

    /// The events of the global feed after a position, in order: first those that are there, then each as it is
    /// committed, without gap or duplicate.
    pub fn subscribe(&self, after: Position) -> Subscription<S> {
        Subscription { feed: self.feed(after, Filter::all()) }
    }
}

/// The events of a stream, made by [`Traced::load`].
#[derive(Debug)]
pub struct StreamEvents<S> {
    store: Traced<S>,
    stream: StreamId,
    after: Version,
    page: VecDeque<StoredEvent>,
}

impl<S: EventStore> StreamEvents<S> {
    /// The next event; `None` at the stream's end. A dropped future loses no event; after an error it can be called
    /// again and goes on where it was.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn next(&mut self) -> Result<Option<StoredEvent>, StoreError> {
        if self.page.is_empty() {
            self.page = self.store.read_stream(&self.stream, self.after, PAGE).await?.into();
        }
        let event = self.page.pop_front();
        if let Some(event) = &event {
            self.after = event.version;
        }
        Ok(event)
    }
}

/// The events of the global feed, made by [`Traced::feed`].
#[derive(Debug)]
pub struct EventFeed<S> {
    store: Traced<S>,
    filter: Filter,
    after: Position,
    page: VecDeque<StoredEvent>,
}

impl<S: EventStore> EventFeed<S> {
    /// The next event; `None` at the feed's end, for now. A dropped future loses no event; after an error it can be
    /// called again and goes on where it was.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn next(&mut self) -> Result<Option<StoredEvent>, StoreError> {
        loop {
            if let Some(event) = self.page.pop_front() {
                return Ok(Some(event));
            }
            let page = self.store.read_all(self.after, &self.filter, PAGE).await?;
            if page.scanned <= self.after {
                return Ok(None);
            }
            self.after = page.scanned;
            self.page = page.events.into();
        }
    }
}

/// The events of the global feed as they come, made by [`Traced::subscribe`].
#[derive(Debug)]
#[must_use = "a subscription reads when it is asked for the next event"]
pub struct Subscription<S> {
    feed: EventFeed<S>,
}

impl<S: EventStore> Subscription<S> {
    /// Shows only what a filter shows.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.feed.filter = filter;
        self
    }

    /// The next event, as soon as there is one. A dropped future loses no event; after an error it can be called again
    /// and goes on where it was.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn next(&mut self) -> Result<StoredEvent, StoreError> {
        loop {
            if let Some(event) = self.feed.next().await? {
                return Ok(event);
            }
            self.feed.store.changed(self.feed.after).await;
        }
    }
}
