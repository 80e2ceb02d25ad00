//! Snapshots behind commands: of what a load would see, and with no spans but their own.

#![expect(clippy::option_option, reason = "JSON has no word for one of its values")]

use std::pin::pin;

use eventsource_runtime::telemetry;

use super::*;

/// JSON has no word for `Some(None)`: it comes back as `None`.
#[derive(Event, Clone, Serialize, Deserialize)]
struct Renamed {
    nick: Option<Option<String>>,
}

#[derive(Aggregate, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(id = Uuid, events(Renamed), snapshot(every = 2))]
struct Profile {
    nick: Option<String>,
}

impl Apply<Renamed> for Profile {
    #[traced]
    fn apply(&mut self, event: Renamed) {
        if let Some(nick) = event.nick {
            self.nick = nick;
        }
    }
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Profile)]
struct Rename {
    #[command(id)]
    profile: Uuid,
    nick: Option<Option<String>>,
}

#[command_handler]
impl Profile {
    fn rename(&self, command: Rename) -> Result<Renamed, Infallible> {
        Ok(Renamed { nick: command.nick })
    }
}

async fn renamed(profiles: &Repository<Profile, MemoryStore>, profile: Uuid) {
    let bus = CommandBus::builder().aggregate(profiles.clone()).build();
    for nick in [Some(Some("ada".to_owned())), Some(None)] {
        bus.dispatch(Rename { profile, nick }).await.unwrap();
    }
    profiles.snapshots_written().await;
}

/// It was made of the events as the handler made them.
#[tokio::test]
async fn a_snapshot_is_of_the_events_as_they_are_read() {
    let (profiles, profile) = (Repository::<Profile, _>::new(MemoryStore::new()), Uuid::now_v7());
    renamed(&profiles, profile).await;
    let with = profiles.load(&profile).await.unwrap();
    assert!(profiles.delete_snapshot(&profile).await.unwrap());
    let without = profiles.load(&profile).await.unwrap();
    assert_eq!((with.version, with.state), (without.version, without.state));
}

/// What the state's own code traces, on a thread apart, began traces of its own.
#[tokio::test]
async fn what_makes_a_snapshot_begins_no_trace() {
    let (profiles, profile, recorder) =
        (Repository::<Profile, _>::new(MemoryStore::new()), Uuid::now_v7(), Recorder::new());
    recorder.run(async { telemetry::span("all").run(renamed(&profiles, profile)).await }).await;
    let spans = recorder.spans();
    let roots = spans.iter().filter(|span| span.parent_span_id == opentelemetry::SpanId::INVALID);
    assert_eq!(roots.map(|span| &*span.name).collect::<Vec<_>>(), ["all"]);
    assert!(spans.iter().any(|span| span.name == "profile.apply"));
}

#[tokio::test]
async fn what_makes_a_snapshot_is_off_with_its_repository() {
    let (recorder, profile) = (Recorder::new(), Uuid::now_v7());
    let profiles = Repository::<Profile, _>::new(MemoryStore::new()).enable_tracing(false);
    recorder.run(renamed(&profiles, profile)).await;
    let names: BTreeMap<String, usize> = recorder.spans().into_iter().fold(BTreeMap::new(), |mut names, span| {
        *names.entry(span.name.into_owned()).or_default() += 1;
        names
    });
    assert_eq!(names, BTreeMap::from([("command.Rename".to_owned(), 2)]));
}

#[tokio::test]
async fn an_earlier_version_is_loaded_without_a_later_snapshot() {
    async fn is_loaded<S: EventStore + SnapshotStore>(store: S) {
        let (tally, tallies) = (Uuid::now_v7(), Repository::<Tally, _>::new(store));
        for number in 1..=9 {
            tallies.append(&tally, ExpectedVersion::Any, Added { number }).await.unwrap();
        }
        tallies.create_snapshot(&tally).await.unwrap();
        let whole = tallies.load(&tally).await.unwrap();
        for version in 0..=9 {
            let loaded = tallies.load_at(&tally, version).await.unwrap();
            assert_eq!((loaded.version.get(), loaded.position.get()), (version, version));
            assert_eq!(loaded.state.history, whole.state.history[..usize::try_from(version).unwrap()]);
        }
        assert_eq!(tallies.load_at(&tally, 10).await.unwrap(), whole);
    }
    is_loaded(MemoryStore::new()).await;
    is_loaded(SqliteStore::open(":memory:").await.unwrap()).await;
}

/// It said that it began with the snapshot, which is of a later state.
#[tokio::test]
async fn the_load_of_a_repeated_command_is_of_what_was_made_then() {
    let ((recorder, metrics), tally, id) = (Recorder::measured(), Uuid::now_v7(), Uuid::now_v7());
    let tallies = Repository::<Tally, _>::new(SqliteStore::open(":memory:").await.unwrap());
    let bus = CommandBus::builder().aggregate(tallies.clone()).build();
    let once = || Context { command_id: Some(id), ..Context::default() };
    bus.dispatch_with(Add { tally, count: 2 }, once()).await.unwrap();
    bus.dispatch(Add { tally, count: 7 }).await.unwrap();
    tallies.snapshots_written().await;
    let again = recorder.run(bus.dispatch_with(Add { tally, count: 2 }, once())).await.unwrap();
    assert!(again.repeated);
    let rendered = recorder.trees().render();
    let load = "events.loaded=0\n    . eventsource.snapshot.used=false\n    . eventsource.version=2";
    assert!(rendered.contains(load), "{rendered}");
    recorder.flush().await;
    let measured = Measured::last(&metrics);
    assert!(measured.iter().all(|point| point.name != names::EVENTSOURCE_EVENTS_LOADED), "no state was needed");
}

/// The command before kept the turn for as long as it waited for its snapshot.
#[tokio::test(start_paused = true)]
async fn a_command_whose_turn_is_next_waits_for_no_snapshot() {
    let (snapshots, tally, begun) = (FaultySnapshots::default(), Uuid::now_v7(), Instant::now());
    snapshots.hold();
    let bus = CommandBus::builder().aggregate(tallies(&remote(), &snapshots)).build();
    let add = async || {
        bus.dispatch(Add { tally, count: 4 }).await.unwrap();
        begun.elapsed()
    };
    // Two of them have a conflict; the first of those has a snapshot to write.
    let (one, two, three) = tokio::join!(add(), add(), add());
    let mut took = [one, two, three];
    took.sort_unstable();
    assert_eq!(took, [Duration::ZERO, Duration::ZERO, Duration::from_millis(10)]);
}

/// It came back after its deletion.
#[tokio::test]
async fn a_snapshot_that_is_being_written_is_deleted_once_it_is() {
    for all in [false, true] {
        let (snapshots, tally) = (FaultySnapshots::default(), Uuid::now_v7());
        snapshots.hold();
        let tallies = tallies(&MemoryStore::new(), &snapshots);
        CommandBus::builder().aggregate(tallies.clone()).build().dispatch(Add { tally, count: 5 }).await.unwrap();
        let mut deletion = pin!(async {
            if all { tallies.delete_snapshots().await } else { tallies.delete_snapshot(&tally).await.map(u64::from) }
        });
        assert!(futures_util::poll!(&mut deletion).is_pending());
        snapshots.let_through(1);
        assert_eq!(deletion.await.unwrap(), 1);
        assert!(!tallies.snapshot_exists(&tally).await.unwrap());
    }
}
