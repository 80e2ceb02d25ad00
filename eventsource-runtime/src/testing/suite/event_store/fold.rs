//! Folds: which events they show, and what they find of earlier appends.

use std::ops::ControlFlow;
use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::{
    Arc, EventStore, NewEvent, Origin, StreamId, Timestamp, Uuid, Version, a_stream, a_stream_of, an_event, appended,
    events, origin, stored,
};
use crate::domain::EventRef;
use crate::store::{Fold, Folded, Visitor};

/// Notes the versions that it is shown, and stops after so many.
struct Versions {
    enough: usize,
    shown: Vec<u64>,
}

impl Visitor for Versions {
    fn visit(&mut self, event: EventRef<'_>) -> ControlFlow<()> {
        self.shown.push(event.version.get());
        if self.shown.len() == self.enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

async fn folded<S: EventStore>(store: &S, stream: &StreamId, after: u64, first: Option<Uuid>) -> Folded<Versions> {
    let fold = Fold { stream: stream.clone(), after: Version::new(after), first_event: first };
    store.fold(fold, Versions { enough: usize::MAX, shown: Vec::new() }).await.expect("a stream can be folded")
}

/// A fold shows what comes after a version, once and in order.
pub async fn fold_begins_after_a_version<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let stream = a_stream_of(&store, 10).await;
    for after in 0..10 {
        let shown = folded(&store, &stream, after, None).await.visitor.shown;
        assert_eq!(shown, (after + 1..=10).collect::<Vec<_>>());
    }
}

/// A fold continues to the end, however long the stream is.
pub async fn fold_goes_on_over_pages<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let stream = a_stream_of(&store, 5000).await;
    for after in [0, 63, 64, 65, 128, 192, 255, 256, 4095, 4096] {
        let shown = folded(&store, &stream, after, None).await.visitor.shown;
        assert!(shown == (after + 1..=5000).collect::<Vec<_>>(), "after {after}");
    }
}

/// A visitor that stops is shown nothing more.
pub async fn fold_ends_where_the_visitor_has_enough<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let fold = Fold { stream: a_stream_of(&store, 10).await, after: Version::START, first_event: None };
    let folded = store.fold(fold, Versions { enough: 3, shown: Vec::new() }).await.expect("a stream can be folded");
    assert_eq!(folded.visitor.shown, [1, 2, 3]);
}

/// A fold returns how many events it showed.
pub async fn fold_counts_what_it_shows<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let stream = a_stream_of(&store, 10).await;
    for after in [0, 7, 10] {
        let folded = folded(&store, &stream, after, None).await;
        assert_eq!(folded.visited, folded.visitor.shown.len() as u64);
    }
    let fold = Fold { stream, after: Version::START, first_event: None };
    let folded = store.fold(fold, Versions { enough: 3, shown: Vec::new() }).await.expect("a stream can be folded");
    assert_eq!(folded.visited, folded.visitor.shown.len() as u64);
}

/// A stream without events is no error.
pub async fn fold_of_no_stream_shows_nothing<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    assert!(folded(&store, &a_stream(), 0, None).await.visitor.shown.is_empty());
}

/// Beyond the end there is nothing, however far beyond.
pub async fn fold_after_the_end_shows_nothing<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let stream = a_stream_of(&store, 10).await;
    for after in [10, 11, 1 << 40, u64::MAX] {
        assert!(folded(&store, &stream, after, None).await.visitor.shown.is_empty(), "after {after}");
    }
}

/// Appends of commands: of two, three, one and two events; the stream, and the ids of each. The second has the cause of
/// the first, and the fourth the time of the third.
async fn commands<S: EventStore>(store: &S) -> (StreamId, Vec<Vec<Uuid>>) {
    let (stream, mut made, causes) = (a_stream(), Vec::new(), [(); 3].map(|()| Some(Uuid::now_v7())));
    for (count, cause, second) in [(2, 0, 1), (3, 0, 2), (1, 1, 3), (2, 2, 3)] {
        let recorded_at = Timestamp::from_micros(second * 1_000_000);
        let origin = Arc::new(Origin { causation_id: causes[cause], recorded_at, ..origin() });
        let batch: Vec<_> =
            events(count).into_iter().map(|event| NewEvent { origin: Arc::clone(&origin), ..event }).collect();
        made.push(batch.iter().map(|event| event.id).collect());
        appended(store, &stream, batch).await;
    }
    (stream, made)
}

/// A command that was handled before is found by the id of its first event.
pub async fn fold_finds_an_earlier_append<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let (stream, made) = commands(&store).await;
    for ids in made {
        assert!(folded(&store, &stream, 0, Some(ids[0])).await.earlier.is_some());
    }
}

/// An earlier append is reported as its first result was: its end, its length, and that it is a repetition.
pub async fn fold_tells_where_an_earlier_append_ended<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let (stream, made) = commands(&store).await;
    let stored = stored(&store, &stream).await;
    for ids in made {
        let Some(earlier) = folded(&store, &stream, 0, Some(ids[0])).await.earlier else { continue };
        let end = stored.iter().find(|event| Some(&event.id) == ids.last()).expect("it is stored");
        assert_eq!((earlier.version, earlier.position), (end.version, end.position));
        assert_eq!((earlier.events, earlier.repeated), (ids.len() as u64, true));
    }
}

/// If an earlier append is found, nobody needs the state.
pub async fn fold_shows_nothing_of_what_was_done_before<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let (stream, made) = commands(&store).await;
    let folded = folded(&store, &stream, 0, Some(made[1][0])).await;
    assert!(folded.earlier.is_none() || folded.visitor.shown.is_empty());
}

/// Appends a command's events at one event, and continues when that is done, or is impossible meanwhile.
struct Meanwhile {
    at: u64,
    begins: Option<oneshot::Sender<()>>,
    done: mpsc::Receiver<()>,
    shown: u64,
}

impl Visitor for Meanwhile {
    fn visit(&mut self, event: EventRef<'_>) -> ControlFlow<()> {
        self.shown = event.version.get();
        if let Some(begins) = self.begins.take_if(|_| self.shown == self.at) {
            let _ = begins.send(());
            // A store that cannot append while it shows an event is not at risk here.
            let _ = self.done.recv_timeout(Duration::from_secs(5));
        }
        ControlFlow::Continue(())
    }
}

/// A command whose events are appended while the stream is read is found if any of them was shown. A state that holds
/// them would decide the command anew.
pub async fn fold_shows_nothing_of_a_command_that_it_does_not_find<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let stream = a_stream_of(&store, 5000).await;
    // Among the first events and among the last, since it is unknown how many are read at once.
    for at in [200, 4000] {
        let before = stored(&store, &stream).await.len() as u64;
        let (command, first) = (events(3), Some(Uuid::now_v7()));
        let command: Vec<_> = command.into_iter().zip([first, None, None]).map(renamed).collect();
        let ((begins, begun), (finished, done)) = (oneshot::channel(), mpsc::channel());
        let appending = {
            let (store, stream) = (store.clone(), stream.clone());
            tokio::spawn(async move {
                if begun.await.is_ok() {
                    appended(&store, &stream, command).await;
                }
                let _ = finished.send(());
            })
        };
        let fold = Fold { stream: stream.clone(), after: Version::START, first_event: first };
        let visitor = Meanwhile { at, begins: Some(begins), done, shown: 0 };
        let Folded { visitor: Meanwhile { shown, .. }, earlier, .. } =
            store.fold(fold, visitor).await.expect("a stream can be folded");
        appending.await.expect("the events are appended");
        // Other cases check that a command is found at all.
        let is_found = folded(&store, &stream, 0, first).await.earlier.is_some();
        assert!(!is_found || earlier.is_some() || shown <= before, "at {at}");
    }
}

fn renamed((event, id): (NewEvent, Option<Uuid>)) -> NewEvent {
    NewEvent { id: id.unwrap_or(event.id), ..event }
}

/// An event of another stream is no earlier append of this one.
pub async fn earlier_append_is_of_its_stream_alone<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let (_, made) = commands(&store).await;
    let other = a_stream_of(&store, 1).await;
    assert_eq!(folded(&store, &other, 0, Some(made[1][0])).await.earlier, None);
}

/// For a command that was not handled before, the fold runs, to the end of a stream that is more than a store holds.
pub async fn unknown_first_event_hinders_no_fold<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let stream = a_stream_of(&store, 10).await;
    for _ in 0..6 {
        appended(&store, &stream, vec![an_event("Placed", vec![b'1'; 1 << 20])]).await;
    }
    assert_eq!(folded(&store, &stream, 0, Some(Uuid::now_v7())).await.visitor.shown.len(), 16);
}
