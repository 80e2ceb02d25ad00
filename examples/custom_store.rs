//! A store of your own: the events of a notebook in a list. `Traced` gives it the spans and metrics of every store, and
//! `cargo test -p eventsource-examples --example custom_store` runs the suite that every store must pass.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Arc, PoisonError, RwLock};

use eventsource_runtime::prelude::*;
use eventsource_runtime::snapshot::SnapshotStore;
use eventsource_runtime::store::{
    AppendError, Appended, Conflict, Filter, Fold, Folded, NewEvent, Page, StoreError, StoreInfo, Traced, Version,
    Visitor,
};
use eventsource_runtime::{Envelope, StoredEvent};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// The event at position 1 is the first in the list.
#[derive(Clone, Debug)]
struct Journal {
    events: Arc<RwLock<Vec<StoredEvent>>>,
    head: watch::Sender<u64>,
}

impl Journal {
    fn new() -> Traced<Self> {
        Traced::over(Self { events: Arc::default(), head: watch::Sender::new(0) })
    }

    /// What `look` returns for the events. It must not block, as the list is locked meanwhile.
    fn read<T>(&self, look: impl FnOnce(&[StoredEvent]) -> T) -> T {
        look(&self.events.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn of<'a>(events: &'a [StoredEvent], stream: &'a StreamId, after: Version) -> impl Iterator<Item = &'a StoredEvent> {
    events.iter().filter(move |event| event.stream == *stream && event.version > after)
}

/// The result of the append that stored this event: the events of one command share their cause and time.
fn earlier(events: &[StoredEvent], stream: &StreamId, first: uuid::Uuid) -> Option<Appended> {
    let begins = of(events, stream, Version::START).find(|event| event.id == first)?;
    let same =
        |event: &&StoredEvent| event.causation_id == begins.causation_id && event.recorded_at == begins.recorded_at;
    let own = of(events, stream, Version::new(begins.version.get() - 1)).take_while(same);
    let (count, last) = own.fold((0, begins), |(count, _), event| (count + 1, event));
    Some(Appended::new(last.version, last.position, count).repeated())
}

/// The result of an append whose events are already stored, in sequence; an error if only some are, or other events
/// have their ids.
fn repeated(events: &[StoredEvent], stream: &StreamId, new: &[NewEvent]) -> Result<Option<Appended>, AppendError> {
    let stored: Vec<_> = new.iter().map(|new| events.iter().find(|event| event.id == new.id)).collect();
    let mut last: Option<&StoredEvent> = None;
    for (ordinal, (new, stored)) in new.iter().zip(&stored).enumerate() {
        let follows = |event: &StoredEvent| match last {
            None => ordinal == 0,
            Some(last) => event.version.get() == last.version.get() + 1,
        };
        let is_same = |event: &&&StoredEvent| {
            event.stream == *stream
                && *event.event_type == *new.event_type
                && event.schema_version == new.schema_version
                && *event.payload() == new.payload
                && follows(event)
        };
        match stored {
            None if last.is_none() => {}
            stored => match stored.as_ref().filter(is_same) {
                Some(event) => last = Some(event),
                None => return Err(AppendError::mismatch(stream.clone(), new.id)),
            },
        }
    }
    Ok(last.map(|last| Appended::new(last.version, last.position, new.len() as u64).repeated()))
}

impl EventStore for Journal {
    fn info(&self) -> StoreInfo {
        StoreInfo::in_process("journal")
    }

    async fn append(
        &self,
        stream: &StreamId,
        expected: ExpectedVersion,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        AppendError::check(stream, &events)?;
        let mut stored = self.events.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(appended) = repeated(&stored, stream, &events)? {
            return Ok(appended);
        }
        let last = of(&stored, stream, Version::START).last();
        let (actual, place) = last.map_or_else(Default::default, |last| (last.version, last.position));
        if !expected.admits(actual) {
            return Err(Conflict::new(stream.clone(), expected, actual).into());
        }
        let mut seen = HashSet::new();
        if let Some(event) = events.iter().find(|event| !seen.insert(event.id)) {
            return Err(AppendError::mismatch(stream.clone(), event.id));
        }
        let count = events.len() as u64;
        let mut appended = Appended::new(actual, place, count);
        for event in events {
            let (version, position) = (appended.version.get() + 1, stored.len() as u64 + 1);
            appended = Appended::new(Version::new(version), Position::new(position), count);
            let origin = &*event.origin;
            let place = (stream.clone(), appended.version, appended.position);
            let kind = (event.event_type, event.schema_version);
            let mut envelope = Envelope::new(event.id, place, kind, origin.recorded_at);
            envelope.correlation_id = origin.correlation_id;
            envelope.causation_id = origin.causation_id;
            envelope.metadata = origin.metadata.clone();
            envelope.trace_context.clone_from(&origin.trace_context);
            stored.push(StoredEvent::new(envelope, event.payload));
        }
        // While the list is locked, so that the head never goes back.
        self.head.send_replace(stored.len() as u64);
        Ok(appended)
    }

    async fn fold<V: Visitor>(&self, fold: Fold, mut visitor: V) -> Result<Folded<V>, StoreError> {
        let (earlier, events) = self.read(|all| {
            let earlier = fold.first_event.and_then(|id| earlier(all, &fold.stream, id));
            let events: Vec<_> = of(all, &fold.stream, fold.after).cloned().collect();
            (earlier, events)
        });
        let mut visited = 0;
        if earlier.is_none() {
            // The visitor is the application's code: never call it under the lock.
            for event in &events {
                visited += 1;
                if visitor.visit(event.as_event_ref()).is_break() {
                    break;
                }
            }
        }
        Ok(Folded::new(visitor, visited, earlier))
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        Ok(self.read(|all| of(all, stream, after).take(limit).cloned().collect()))
    }

    async fn read_all(&self, after: Position, filter: &Filter, limit: usize) -> Result<Page, StoreError> {
        Ok(self.read(|all| {
            let mut page = Page::new(Vec::new(), after);
            let from = usize::try_from(after.get()).unwrap_or(usize::MAX);
            for event in all.iter().skip(from) {
                if page.events.len() == limit {
                    break;
                }
                page.scanned = event.position;
                if filter.shows(&event.event_type, event.stream.aggregate_type()) {
                    page.events.push(event.clone());
                }
            }
            page
        }))
    }

    async fn head(&self) -> Result<Position, StoreError> {
        Ok(Position::new(*self.head.borrow()))
    }

    async fn changed(&self, position: Position) {
        // This store owns the sender, so it is alive.
        let _ = self.head.subscribe().wait_for(|head| *head > position.get()).await;
    }
}

/// It keeps no snapshots.
impl SnapshotStore for Journal {}

#[derive(Event, Serialize, Deserialize)]
struct Noted {
    text: String,
}

#[derive(Aggregate, Default)]
#[aggregate(id = String, events(Noted))]
struct Notebook {
    notes: Vec<String>,
}

impl Apply<Noted> for Notebook {
    fn apply(&mut self, event: Noted) {
        self.notes.push(event.text);
    }
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Notebook)]
struct Note {
    #[command(id)]
    notebook: String,
    text: String,
}

#[command_handler]
impl Notebook {
    fn note(&self, command: Note) -> Result<Option<Noted>, Infallible> {
        Ok((!self.notes.contains(&command.text)).then_some(Noted { text: command.text }))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let telemetry = Telemetry::from_env("notebook").console_without_endpoint().install()?;
    let notebooks = Repository::<Notebook, _>::new(Journal::new());
    let commands = CommandBus::builder().aggregate(notebooks.clone()).build();
    let id = "ada".to_owned();
    for text in ["buy milk", "call Bob", "buy milk"] {
        commands.dispatch(Note { notebook: id.clone(), text: text.into() }).await?;
    }
    let loaded = notebooks.load(&id).await?;
    println!("{} notes at version {}: {}", loaded.state.notes.len(), loaded.version, loaded.state.notes.join(", "));
    Ok(telemetry.shutdown().await?)
}

#[cfg(test)]
eventsource_runtime::event_store_suite!(journal, || async { super::Journal::new() });
