//! A secret of its own in every place that an application can put one, and none of them anywhere that others read.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use eventsource_runtime::dispatch::Context;
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{DeadLetters, OnFailure, ProjectionStore};
use eventsource_runtime::snapshot::SnapshotStore;
use eventsource_runtime::store::{EventStore, Filter, PostgresOptions, PostgresStore, SqliteStore};
use eventsource_tests::logged::listen;
use eventsource_tests::recorder::Recorder;
use eventsource_tests::services;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::leaks::{CANARY, Logs, Shown, assert_no_leak, on_one_thread, secret};

#[derive(Clone, Debug, Event, Serialize, Deserialize)]
struct Charged {
    #[event(attribute)]
    amount: u64,
    #[event(sensitive)]
    card: Sensitive<String>,
    note: Sensitive<String>,
}

/// An event whose own `Debug` shows all: nobody of ours may ask for it.
#[derive(Clone, Debug, Event, Serialize, Deserialize)]
#[event(version = 2, upcast(1 => refuse))]
struct Noted {
    note: String,
}

fn refuse(_: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
    Err(UpcastError::new("version 1 is too old"))
}

/// The same stored name, of a payload that fits neither.
#[derive(Debug, Event, Serialize, Deserialize)]
#[event(name = "Noted", version = 2)]
struct Misfit {
    note: u64,
    other: String,
}

#[derive(Debug, thiserror::Error)]
enum PayError {
    #[error("refused: {0}")]
    Refused(String),
}

#[derive(Default, Aggregate, Serialize, Deserialize)]
#[aggregate(id = Uuid, error = PayError, events(Charged, Noted), snapshot(every = 2))]
struct Account {
    note: String,
}

impl Apply<Charged> for Account {
    fn apply(&mut self, event: Charged) {
        self.note = event.note.into_exposed();
    }
}
impl Apply<Noted> for Account {
    fn apply(&mut self, event: Noted) {
        self.note = event.note;
    }
}

/// A state that cannot be read back, for a reason that quotes it.
#[derive(Default, Aggregate, Serialize, Deserialize)]
#[aggregate(id = Uuid, events(Noted), snapshot(every = 9))]
struct Unkept(#[serde(deserialize_with = "unread")] String);

fn unread<'de, D: serde::Deserializer<'de>>(note: D) -> Result<String, D::Error> {
    Err(serde::de::Error::custom(String::deserialize(note)?))
}

impl Apply<Noted> for Unkept {
    fn apply(&mut self, event: Noted) {
        self.0 = event.note;
    }
}

#[derive(Clone, Debug, Command, Serialize, Deserialize)]
#[command(aggregate = Account)]
struct Charge {
    #[command(id)]
    account: Uuid,
    #[command(attribute)]
    amount: u64,
    #[command(sensitive)]
    card: String,
    note: String,
}

#[derive(Clone, Debug, Command, Serialize, Deserialize)]
#[command(aggregate = Account)]
struct Refuse(#[command(id)] Uuid, String);

#[derive(Debug)]
struct Gateway {
    key: Sensitive<String>,
}

#[command_handler]
impl Account {
    #[traced(attributes("account.is_new" = self.note.is_empty()))]
    async fn charge(&self, command: Charge, gateway: &Gateway) -> Result<(Charged, Noted), PayError> {
        let card = checked(gateway, command.card, &secret("argument")).await.map_err(PayError::Refused)?;
        let note = command.note;
        Ok((Charged { amount: command.amount, card: card.into(), note: note.clone().into() }, Noted { note }))
    }

    fn refuse(&self, Refuse(_, why): Refuse) -> Result<(), PayError> {
        Err(PayError::Refused(why))
    }
}

/// Nothing of its arguments is named but one that cannot be seen, shown by its `Debug`.
#[traced(attributes("gateway.key" = ?gateway.key), record("ok" = result.is_ok()))]
async fn checked(gateway: &Gateway, card: String, argument: &str) -> Result<String, String> {
    if gateway.key.expose().is_empty() { Err(argument.to_owned()) } else { Ok(card) }
}

#[traced]
fn fails(argument: &str) -> Result<(), PayError> {
    Err(PayError::Refused(argument.to_owned()))
}

#[derive(Debug, Query, Serialize, Deserialize)]
#[query(output = Vec<String>)]
struct Notes {
    #[query(sensitive)]
    like: String,
    fail: bool,
}

struct Answers(String);

#[query_handler]
impl Answers {
    async fn notes(&self, query: Notes) -> Result<Vec<String>, std::io::Error> {
        if query.fail { Err(std::io::Error::other(query.like)) } else { Ok(vec![self.0.clone()]) }
    }
}

struct Follows {
    fails: bool,
}

#[projection(enable_tracing = true)]
impl Follows {
    #[traced(attributes("amount" = event.amount))]
    fn charged(&self, event: &Recorded<Charged>) -> Result<(), PayError> {
        if self.fails { Err(PayError::Refused(event.note.expose().clone())) } else { Ok(()) }
    }

    fn noted(&self, _: &Recorded<Noted>) {}

    #[projection(reset)]
    fn clear(&self) {}
}

/// Follows what it cannot read.
struct Misled;

#[projection(enable_tracing = true)]
impl Misled {
    fn noted(&self, event: &Recorded<Misfit>) {
        panic!("{}{}", event.note, event.other);
    }

    #[projection(reset)]
    fn clear(&self) {}
}

#[derive(Clone, Debug, Event, Serialize, Deserialize)]
struct Watched {
    note: String,
}

#[derive(Default, Aggregate)]
#[aggregate(id = Uuid, events(Watched))]
struct Watching;

impl Apply<Watched> for Watching {
    fn apply(&mut self, _: Watched) {}
}

#[process_manager]
impl Watching {
    fn charged(&self, event: &Recorded<Charged>) -> Result<Reaction<Self>, uuid::Error> {
        let watched = || Watched { note: event.note.expose().clone() };
        let refuse = Refuse(event.aggregate_id().parse()?, secret("manager.command"));
        Ok(Reaction::new().record(watched()).dispatch(refuse).record_after(std::time::Duration::ZERO, watched()))
    }

    fn refused(&self, refused: &Rejected<Refuse>) -> Result<(), PayError> {
        let Refuse(_, why) = &**refused;
        if why.is_empty() { Err(PayError::Refused(format!("{refused:?}"))) } else { Ok(()) }
    }
}

/// A store that an application keeps all in.
trait Keeps: EventStore + SnapshotStore + ProjectionStore + std::fmt::Debug {}
impl<S: EventStore + SnapshotStore + ProjectionStore + std::fmt::Debug> Keeps for S {}

async fn sqlite() -> SqliteStore {
    SqliteStore::open(":memory:").await.unwrap()
}

async fn write(bus: &CommandBus, shown: &mut Shown) -> Uuid {
    let account = Uuid::now_v7();
    let metadata = Metadata::default().with("tenant", secret("metadata"));
    let context = Context { metadata, ..Context::default() };
    shown.debug(&context);
    for amount in 0..3 {
        let charge = Charge { account, amount, card: secret("command.card"), note: secret("command.note") };
        shown.debug(&bus.dispatch_with(charge, context.clone()).await.unwrap());
    }
    let refused = bus.dispatch(Refuse(account, secret("refusal"))).await.unwrap_err();
    assert!(refused.is_rejected());
    let _ = write!(shown.0, "\n{}", refused.error_type());
    account
}

async fn write_json(bus: &CommandBus, account: Uuid, shown: &mut Shown) {
    let wrong = |amount: &str, card: &str| {
        format!(r#"{{"account":"{account}","amount":{amount},"card":{card},"note":"{}"}}"#, secret("json.note"))
    };
    let texts = [
        wrong(&format!("{:?}", secret("json.amount")), "\"4\""),
        wrong("7", &format!("[{:?}]", secret("json.card"))),
        wrong("7", &format!("\"{}", secret("json.unended"))),
        format!("{:?}", secret("json")),
    ];
    for text in texts {
        shown.error(&bus.dispatch_json("Charge", &text).await.unwrap_err());
    }
}

async fn read<S: Keeps>(store: &S, repository: &Repository<Account, S, Gateway>, account: Uuid, shown: &mut Shown) {
    let answers = Answers(secret("answer"));
    let queries = QueryBus::builder().handler(answers).build();
    queries.execute(Notes { like: secret("query"), fail: false }).await.unwrap();
    let failed = queries.execute(Notes { like: secret("query.error"), fail: true }).await.unwrap_err();
    let _ = write!(shown.0, "\n{failed} {}", failed.error_type());
    let misfit = format!(r#"{{"like":["{}"],"fail":1}}"#, secret("query.json"));
    shown.error(&queries.execute_json("Notes", misfit.as_bytes()).await.unwrap_err());
    shown.debug(&queries);
    let id = StreamId::new("Account", account);
    let stored = store.read_stream(&id, Version::START, 100).await.unwrap();
    assert_eq!(stored.len(), 6);
    for event in &stored {
        shown.debug(event);
        shown.error(&event.decode::<Misfit>().unwrap_err());
    }
    shown.debug(&stored[0].decode::<Charged>().unwrap().envelope());
    shown.debug(&stored[1].decode::<Noted>().unwrap());
    assert!(repository.load(&account).await.unwrap().state.note.starts_with(CANARY));
    shown.debug(repository);
    shown.debug(store);
}

async fn project<S: Keeps>(store: &S, last: Position, shown: &mut Shown) {
    let runner = ProjectionRunner::new(store.clone()).projection(Follows { fails: false });
    shown.debug(&runner);
    let running = runner.spawn();
    running.wait_for(last).await.unwrap();
    shown.debug(&running);
    running.shutdown().await.unwrap();
    let failing =
        ProjectionRunner::new(store.clone()).projection(Follows { fails: true }).rebuild().max_retries(1).spawn();
    let stopped = failing.wait_for(last).await.unwrap_err();
    let _ = write!(shown.0, "\n{stopped}");
    failing.shutdown().await.unwrap_err();
    let misled = ProjectionRunner::new(store.clone()).projection(Misled).max_retries(1).spawn();
    shown.error(&misled.wait_for(last).await.unwrap_err());
    misled.shutdown().await.unwrap_err();
}

/// What is set aside says why, and keeps none of the texts of others.
async fn set_aside<S: Keeps>(store: &S, last: Position, shown: &mut Shown) {
    let runner = || ProjectionRunner::new(store.clone()).max_retries(0).on_failure(OnFailure::DeadLetter).rebuild();
    for running in [runner().projection(Follows { fails: true }).spawn(), runner().projection(Misled).spawn()] {
        running.wait_for(last).await.unwrap();
        running.shutdown().await.unwrap();
    }
    let refused = DeadLetters::new(store.clone(), Follows { fails: true });
    let misled = DeadLetters::new(store.clone(), Misled);
    shown.debug(&refused);
    for letters in [refused.list(Position::START, 100).await.unwrap(), misled.list(Position::START, 100).await.unwrap()]
    {
        assert!(letters.iter().any(|letter| !letter.is_parked()));
        for letter in &letters {
            shown.debug(letter);
            let _ = write!(shown.0, "\n{} {}", letter.error_type, letter.reason);
        }
    }
}

async fn manage<S: Keeps>(store: &S, bus: &CommandBus, last: Position, shown: &mut Shown) {
    shown.debug(&Reaction::<Watching>::new().record(Watched { note: secret("reaction") }));
    let runner = ProcessManagerRunner::new(store.clone(), bus.clone()).process_manager::<Watching>();
    shown.debug(&runner);
    let managers = runner.spawn();
    managers.wait_for(last).await.unwrap();
    shown.debug(&managers);
    managers.shutdown().await.unwrap();
    let page = store.read_all(last, &Filter::all(), 1000).await.unwrap();
    assert!(page.events.iter().any(|event| event.event_type.starts_with("process_manager.")));
    page.events.iter().for_each(|event| shown.debug(event));
}

async fn keep<S: Keeps>(store: &S, shown: &mut Shown) {
    let (unkept, id) = (Repository::<Unkept, _>::new(store.clone()), Uuid::now_v7());
    unkept.append(&id, ExpectedVersion::NoStream, Noted { note: secret("snapshot") }).await.unwrap();
    shown.error(&unkept.create_snapshot(&id).await.unwrap_err());
}

async fn everything<S: Keeps>(store: S, shown: &mut Shown) {
    let gateway = Gateway { key: secret("service").into() };
    shown.debug(&gateway);
    let repository = Repository::<Account, _>::new(store.clone()).with_services(gateway);
    let bus = CommandBus::builder().aggregate(repository.clone()).build();
    shown.debug(&bus);
    let account = write(&bus, shown).await;
    write_json(&bus, account, shown).await;
    fails(&secret("traced")).unwrap_err();
    read(&store, &repository, account, shown).await;
    project(&store, store.head().await.unwrap(), shown).await;
    set_aside(&store, store.head().await.unwrap(), shown).await;
    manage(&store, &bus, store.head().await.unwrap(), shown).await;
    keep(&store, shown).await;
}

/// The text of a refusal, of a step's error and of a query's error is their author's, who gets it back; it stays out of
/// what we say about it.
async fn assert_nothing_leaks<S: Keeps>(store: S) {
    let (metrics, logs) = (InMemoryMetricExporter::default(), Logs::default());
    let _subscriber = listen(logs.clone());
    let recorder = Recorder::with(|builder| builder.metric_exporter(metrics.clone()));
    let mut shown = Shown::default();
    recorder.run(everything(store, &mut shown)).await;
    recorder.flush().await;
    let (spans, logs) = assert_no_leak(&recorder, &metrics, &logs, &shown);
    assert!(spans.contains("<sensitive>") && spans.contains("\"amount\""));
    assert!(logs.contains("Refused"), "{logs}");
}

#[tokio::test]
async fn no_secret_reaches_what_others_read() {
    assert_nothing_leaks(sqlite().await).await;
}

#[test]
fn no_secret_on_postgres_reaches_what_others_read() {
    on_one_thread(services::postgres, |address: String| async move {
        let options = PostgresOptions::default().schema(services::a_schema());
        assert_nothing_leaks(PostgresStore::connect_with(&address, options).await.unwrap()).await;
    });
}

/// Where a set-up asks for what errors say, it gets that, and none of the other secrets.
#[tokio::test]
async fn what_errors_say_reaches_those_who_ask_for_it_and_nothing_else_does() {
    let (metrics, logs) = (InMemoryMetricExporter::default(), Logs::default());
    let _subscriber = listen(logs.clone());
    let recorder = Recorder::with(|builder| builder.metric_exporter(metrics.clone()).record_error_text(true));
    recorder.run(everything(sqlite().await, &mut Shown::default())).await;
    recorder.flush().await;
    let metrics = format!("{:#?}", metrics.get_finished_metrics().unwrap());
    assert!(!metrics.contains(CANARY), "{metrics}");
    let statuses: BTreeSet<_> = recorder.spans().iter().map(|span| format!("{:?}", span.status)).collect();
    let spans = format!("{:#?}", recorder.spans());
    let logs = logs.text();
    for (text, places) in [
        (&spans, &["traced", "command.note", "query.error"][..]),
        (&logs, &["traced", "command.note", "query.error", "refusal", "manager.command"]),
    ] {
        let quoted = text.match_indices(CANARY).map(|(at, _)| &text[at..]);
        let found: BTreeSet<_> =
            quoted.filter_map(|rest| rest.split(&[':', '"', '\\', ' ', '\n'][..]).nth(1)).collect();
        assert_eq!(found, places.iter().copied().collect(), "{text}");
    }
    assert!(statuses.iter().any(|status| status.contains("refused: canary:traced")), "{statuses:?}");
    assert_eq!(spans.matches(CANARY).count(), statuses_with_canary(&recorder), "in the statuses alone");
}

fn statuses_with_canary(recorder: &Recorder) -> usize {
    recorder.spans().iter().filter(|span| format!("{:?}", span.status).contains(CANARY)).count()
}
