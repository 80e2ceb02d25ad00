//! Reading event by event, over pages: a stream, the global feed, and a subscription that never ends.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::{EventStore, Filter, Position, StoreError, StreamId, Traced, Version};
use crate::domain::StoredEvent;

/// How many events a page has, which bounds what is held in memory.
const PAGE: usize = 512;
/// How many bytes of payloads end a page before it has as many events as requested.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) const LARGE_PAGE: usize = 4 * 1024 * 1024;

impl<S: EventStore> Traced<S> {
    /// The events of a stream after a version, in order; [`Version::START`] for all.
    ///
    /// They are read in pages of 512, or of 4 MiB of payloads if these are large, so that memory stays bounded however
    /// long the stream is. Events appended during the read are included.
    ///
    /// ```
    /// # use eventsource_runtime::store::{MemoryStore, StreamId, Version};
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let store = MemoryStore::new();
    /// let mut events = store.load(&StreamId::new("Order", 42), Version::START);
    /// assert!(events.next().await?.is_none());
    /// # Ok::<(), eventsource_runtime::store::StoreError>(()) }).unwrap();
    /// ```
    pub fn load(&self, stream: &StreamId, after: Version) -> StreamEvents<S> {
        StreamEvents { store: self.clone(), stream: stream.clone(), after, page: VecDeque::new() }
    }

    /// The events of the global feed after a position that match a filter, in order, up to the feed's end.
    pub fn feed(&self, after: Position, filter: Filter) -> EventFeed<S> {
        EventFeed { store: self.clone(), filter, after, page: VecDeque::new() }
    }

    /// The events of the global feed after a position, in order: first the existing ones, then each as it is committed,
    /// without gaps or duplicates.
    pub fn subscribe(&self, after: Position) -> Subscription<S> {
        self.subscribe_to(after, Filter::all())
    }

    /// As [`Traced::subscribe`], but only the events that match a filter.
    ///
    /// ```
    /// # use eventsource_runtime::prelude::*;
    /// # use eventsource_runtime::store::Filter;
    /// # #[derive(Event, serde::Serialize, serde::Deserialize)]
    /// # struct Opened { owner: String }
    /// # #[derive(Event, serde::Serialize, serde::Deserialize)]
    /// # struct Closed { reason: String }
    /// # #[derive(Aggregate, Default)]
    /// # #[aggregate(id = u32, events(Opened, Closed))]
    /// # struct Account {}
    /// # impl Apply<Opened> for Account { fn apply(&mut self, _: Opened) {} }
    /// # impl Apply<Closed> for Account { fn apply(&mut self, _: Closed) {} }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = MemoryStore::new();
    /// let mut closed = store.subscribe_to(Position::START, Filter::all().event_types(["Closed"]));
    ///
    /// let accounts = Repository::<Account, _>::new(store);
    /// let events = (Opened { owner: "ada".into() }, Closed { reason: "moved".into() });
    /// accounts.append(&1, ExpectedVersion::NoStream, events).await?;
    /// assert_eq!(closed.next().await?.version, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn subscribe_to(&self, after: Position, filter: Filter) -> Subscription<S> {
        Subscription { feed: self.feed(after, filter) }
    }
}

/// The events of a stream, made by [`Traced::load`].
#[derive(Debug)]
#[must_use = "it reads when it is asked for the next event"]
pub struct StreamEvents<S> {
    store: Traced<S>,
    stream: StreamId,
    after: Version,
    page: VecDeque<StoredEvent>,
}

impl<S: EventStore> StreamEvents<S> {
    /// The next event; `None` at the stream's end. A dropped future loses no event; a call after an error continues
    /// from the same place.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn next(&mut self) -> Result<Option<StoredEvent>, StoreError> {
        if self.page.is_empty() {
            self.page = self.store.read_stream(&self.stream, self.after, PAGE).await?.into();
        }
        Ok(self.at_hand())
    }

    /// The same as a `Stream`, which ends when [`StreamEvents::next`] returns `None`, and continues after an error.
    ///
    /// ```
    /// # use eventsource_runtime::store::{MemoryStore, StreamId, Version};
    /// use futures_util::StreamExt;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let store = MemoryStore::new();
    /// let events = store.load(&StreamId::new("Order", 42), Version::START).into_stream();
    /// assert_eq!(events.count().await, 0);
    /// # });
    /// ```
    pub fn into_stream(self) -> impl Stream<Item = Result<StoredEvent, StoreError>> + Send + Unpin + 'static {
        Events::of(self)
    }
}

impl<S: EventStore> Reader for StreamEvents<S> {
    fn at_hand(&mut self) -> Option<StoredEvent> {
        let event = self.page.pop_front()?;
        self.after = event.version;
        Some(event)
    }

    async fn read(&mut self) -> Result<Option<StoredEvent>, StoreError> {
        self.next().await
    }
}

/// The events of the global feed, made by [`Traced::feed`].
#[derive(Debug)]
#[must_use = "it reads when it is asked for the next event"]
pub struct EventFeed<S> {
    store: Traced<S>,
    filter: Filter,
    after: Position,
    page: VecDeque<StoredEvent>,
}

impl<S: EventStore> EventFeed<S> {
    /// The next event; `None` at the feed's end, for now. A dropped future loses no event; a call after an error
    /// continues from the same place.
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

    /// The same as a `Stream`, which ends when [`EventFeed::next`] returns `None`, and continues after an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<StoredEvent, StoreError>> + Send + Unpin + 'static {
        Events::of(self)
    }
}

impl<S: EventStore> Reader for EventFeed<S> {
    fn at_hand(&mut self) -> Option<StoredEvent> {
        self.page.pop_front()
    }

    async fn read(&mut self) -> Result<Option<StoredEvent>, StoreError> {
        self.next().await
    }
}

/// The events of the global feed as they come, made by [`Traced::subscribe`] and [`Traced::subscribe_to`].
#[derive(Debug)]
#[must_use = "a subscription reads when it is asked for the next event"]
pub struct Subscription<S> {
    feed: EventFeed<S>,
}

impl<S: EventStore> Subscription<S> {
    /// The next event, as soon as there is one. A dropped future loses no event; a call after an error continues from
    /// the same place.
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

    /// The same as a `Stream`, which never ends, and continues after an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<StoredEvent, StoreError>> + Send + Unpin + 'static {
        Events::of(self)
    }
}

impl<S: EventStore> Reader for Subscription<S> {
    fn at_hand(&mut self) -> Option<StoredEvent> {
        self.feed.at_hand()
    }

    async fn read(&mut self) -> Result<Option<StoredEvent>, StoreError> {
        self.next().await.map(Some)
    }
}

/// What can be read as a `Stream`.
trait Reader: Sized + Send + 'static {
    /// The next event of the page that was read, if any is left.
    fn at_hand(&mut self) -> Option<StoredEvent>;

    /// The next event, which may take another page.
    fn read(&mut self) -> impl Future<Output = Result<Option<StoredEvent>, StoreError>> + Send;
}

/// A reader as a `Stream`. While a page is being read, the future owns the reader and returns it.
struct Events<R> {
    reader: Option<R>,
    reading: Option<Reading<R>>,
}

type Reading<R> = Pin<Box<dyn Future<Output = (R, Result<Option<StoredEvent>, StoreError>)> + Send>>;

/// The reader is only ever moved.
impl<R> Unpin for Events<R> {}

impl<R: Reader> Events<R> {
    fn of(reader: R) -> Self {
        Self { reader: Some(reader), reading: None }
    }
}

impl<R: Reader> Stream for Events<R> {
    type Item = Result<StoredEvent, StoreError>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(event) = self.reader.as_mut().and_then(Reader::at_hand) {
            return Poll::Ready(Some(Ok(event)));
        }
        let mut reading = match (self.reader.take(), self.reading.take()) {
            (Some(mut reader), _) => Box::pin(async move {
                let read = reader.read().await;
                (reader, read)
            }),
            (None, Some(reading)) => reading,
            // A read has panicked.
            (None, None) => return Poll::Ready(None),
        };
        let Poll::Ready((reader, read)) = reading.as_mut().poll(task) else {
            self.reading = Some(reading);
            return Poll::Pending;
        };
        self.reader = Some(reader);
        Poll::Ready(read.transpose())
    }
}

impl<R> fmt::Debug for Events<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}
