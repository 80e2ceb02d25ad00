//! The order in which positions become visible, whoever commits when.

use std::collections::HashMap;

use eventsource_runtime::store::{EventStore, Filter, Position, Postgres, PostgresStore};
use eventsource_runtime::testing::run;
use eventsource_tests::services::{self, repeats};
use tokio_postgres::{Client, SimpleQueryMessage};
use uuid::Uuid;

use super::open_in;
use crate::broken::{Said, verdict};

/// How many of the interleavings are run; all of them in a long run.
const ORDERS: &str = "EVENTSOURCE_TESTS_ORDERS";
const WRITERS: usize = 4;
const EVENTS: usize = 2;

/// Each order in which four writers can commit two events each, where the next writer already waits in its transaction
/// when one commits, and one of the events is rolled back or none. After each commit a reader polls, and has in the end
/// seen every committed event once, with positions and versions ascending. By what the store calls, each by itself and in
/// turn.
#[test]
fn every_interleaving_of_four_writers_shows_every_event_once() {
    run(async {
        let schema = services::a_schema();
        let store = open_in(&schema).await;
        run_orders(&store, &schema, repeats(ORDERS, 126), &[single]).await;
        run_orders(&store, &schema, repeats(ORDERS, 42), &[grouped]).await;
        run_orders(&store, &schema, repeats(ORDERS, 42), &[single, grouped, grouped]).await;
        run_orders(&store, &schema, repeats(ORDERS, 42), &[at_once, single, at_once, grouped]).await;
    });
}

/// The statement that reads and locks in one: a place that was taken after it has read is not taken twice.
#[test]
fn an_append_at_once_that_reads_what_is_old_stores_nothing() {
    run(async {
        let schema = services::a_schema();
        let store = open_in(&schema).await;
        let (old, new) = (services::raw(&services::postgres()).await, services::raw(&services::postgres()).await);
        let streams = [0, 1].map(|_| format!("Order-{}", Uuid::now_v7()));
        for stream in &streams {
            // What this reads from here on is as old as this.
            old.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT").await.unwrap();
            new.batch_execute(&at_once(&schema, &streams[0], Uuid::now_v7())[0]).await.unwrap();
            let refused = old.batch_execute(&at_once(&schema, stream, Uuid::now_v7())[0]).await.unwrap_err();
            assert!(is_taken(&refused), "{refused:?}");
            old.batch_execute("ROLLBACK").await.unwrap();
        }
        assert_eq!(store.head().await.unwrap(), Position::new(2));
    });
}

/// Whether the test above would notice: functions that look where the feed ends before they have the lock.
#[test]
fn a_function_that_reads_before_it_has_the_lock_is_noticed() {
    is_noticed(
        (single, Postgres::APPEND_ONE),
        &[
            ("BEGIN", "DECLARE head bigint := (SELECT max(position) FROM {schema}.events);\nBEGIN"),
            ("(SELECT position FROM {schema}.events ORDER BY position DESC LIMIT 1)", "head"),
        ],
    );
    is_noticed(
        (grouped, Postgres::APPEND_GROUP),
        &[
            ("PERFORM {schema}.lock_1();", ""),
            ("PERFORM {schema}.notify_1();", "PERFORM {schema}.lock_1(); PERFORM {schema}.notify_1();"),
        ],
    );
}

/// It is the changes that are noticed: without them all is well.
fn is_noticed((append, function): (Append, &'static str), changes: &'static [(&str, &str)]) {
    run(mutated(append, function, &[]));
    assert_eq!(verdict(move || mutated(append, function, changes)), Said::No, "{function}");
}

/// Runs a few orders with a function that was changed.
async fn mutated(append: Append, function: &str, changes: &[(&str, &str)]) {
    let schema = services::a_schema();
    let store = open_in(&schema).await;
    let raw = services::raw(&services::postgres()).await;
    let found = "SELECT pg_get_functiondef(pg_proc.oid) FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace \
        WHERE nspname = $1 AND proname = $2";
    let mut body: String = raw.query_one(found, &[&schema, &function]).await.unwrap().get(0);
    for (old, new) in changes {
        let [old, new] = [old, new].map(|text| text.replace("{schema}", &format!("\"{schema}\"")));
        assert!(body.contains(&old), "{old} is not in {body}");
        body = body.replacen(&old, &new, 1);
    }
    raw.batch_execute(&body).await.unwrap();
    run_orders(&store, &schema, 3, &[append]).await;
}

/// Runs that many orders, spread over all.
async fn run_orders(store: &PostgresStore, schema: &str, wanted: usize, appends: &[Append]) {
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        writers.push(services::raw(&services::postgres()).await);
    }
    let mut orders = Vec::new();
    permute(&mut Vec::new(), &mut orders);
    assert_eq!(orders.len(), 2520);
    // Numbered as they are run: the numbers of every sixtieth leave three remainders alone.
    for (number, order) in orders.iter().step_by((orders.len() / wanted).max(1)).enumerate() {
        let head = store.head().await.unwrap();
        let mut reader = Reader { store, after: head, seen: Vec::new(), after_of_placed: head, placed: Vec::new() };
        let rolled_back = number % (order.len() + 1);
        let committed = interleave((schema, appends), &writers, order, rolled_back, &mut reader).await;
        reader.poll().await;
        let seen: Vec<Uuid> = reader.seen.iter().map(|(id, ..)| *id).collect();
        assert_eq!(seen, committed, "{order:?}");
        assert_eq!(reader.placed, committed, "through a filter, {order:?}");
    }
}

/// The statements that append an event to a stream: the first that says something is the last.
type Append = fn(&str, &str, Uuid) -> Vec<String>;

fn single(schema: &str, stream: &str, id: Uuid) -> Vec<String> {
    let function = Postgres::APPEND_ONE;
    let call = format!("{function}('{stream}', -1, '{id}', 'Placed', 1, 1, NULL, NULL, NULL, NULL, NULL, '1')");
    vec![format!("SELECT * FROM {schema}.{call}")]
}

/// Without parameters, and where it stores nothing by the function, as the store does it.
pub(super) fn at_once(schema: &str, stream: &str, id: Uuid) -> Vec<String> {
    let (stream, event) = (format!("'{stream}'"), format!("'{id}'"));
    let values = [&stream, "-1", &event, "'Placed'", "1", "1", "NULL", "NULL", "NULL", "NULL", "NULL", "'1'"];
    let mut statement = Postgres::APPEND_AT_ONCE.replace("{schema}", schema);
    for (number, value) in values.iter().enumerate().rev() {
        statement = statement.replace(&format!("${}", number + 1), value);
    }
    [vec![statement], single(schema, stream.trim_matches('\''), id)].concat()
}

fn grouped(schema: &str, stream: &str, id: Uuid) -> Vec<String> {
    let function = Postgres::APPEND_GROUP;
    vec![format!(
        "SELECT * FROM {schema}.{function}('{{{stream}}}', '{{-1}}', '{{1}}', '{{1}}', '{{{id}}}', '{{Placed}}', '{{1}}', '{{1}}', \
        '{{NULL}}', '{{NULL}}', '{{NULL}}', '{{NULL}}', '{{NULL}}', '{{1}}')"
    )]
}

/// All orders of the writers' events.
fn permute(order: &mut Vec<usize>, orders: &mut Vec<Vec<usize>>) {
    if order.len() == WRITERS * EVENTS {
        orders.push(order.clone());
    }
    for writer in 0..WRITERS {
        if order.iter().filter(|of| **of == writer).count() < EVENTS {
            order.push(writer);
            permute(order, orders);
            order.pop();
        }
    }
}

/// Appends in the given order, each in a transaction that holds the lock while the next waits for it. The ids of what
/// was committed, in order.
async fn interleave(
    (schema, appends): (&str, &[Append]),
    writers: &[Client],
    order: &[usize],
    rolled_back: usize,
    reader: &mut Reader<'_>,
) -> Vec<Uuid> {
    let streams: Vec<String> = (0..WRITERS).map(|_| format!("Order-{}", Uuid::now_v7())).collect();
    let append = async |at: usize, writer: usize, id: Uuid| {
        writers[writer].batch_execute("BEGIN").await.unwrap();
        for statement in appends[at % appends.len()](schema, &streams[writer], id) {
            match writers[writer].simple_query(&statement).await {
                Ok(answer) if answer.iter().any(|message| matches!(message, SimpleQueryMessage::Row(_))) => return,
                Ok(_) => {}
                // An append ended between what this one has read and the lock.
                Err(error) if statement.starts_with("INSERT") && is_taken(&error) => {
                    writers[writer].batch_execute("ROLLBACK; BEGIN").await.unwrap();
                }
                Err(error) => panic!("{error:?}"),
            }
        }
        panic!("nothing was appended");
    };
    let ids: Vec<Uuid> = order.iter().map(|_| Uuid::now_v7()).collect();
    let mut committed = Vec::new();
    append(0, order[0], ids[0]).await;
    for (at, &writer) in order.iter().enumerate() {
        let end = if at == rolled_back { "ROLLBACK" } else { "COMMIT" };
        let finish = async {
            reader.poll().await;
            // Also while it is committed: it is in what was looked at, or it comes later.
            let (ended, ()) = tokio::join!(writers[writer].batch_execute(end), reader.poll_placed());
            ended.unwrap();
            reader.poll().await;
        };
        match order.get(at + 1) {
            // One connection does one thing at a time.
            Some(&next) if next == writer => {
                finish.await;
                append(at + 1, next, ids[at + 1]).await;
            }
            Some(&next) => drop(tokio::join!(append(at + 1, next, ids[at + 1]), finish)),
            None => finish.await,
        }
        if at != rolled_back {
            committed.push(ids[at]);
        }
    }
    committed
}

/// Whether an event has the position already that another was to have.
fn is_taken(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|said| said.constraint() == Some("events_pkey"))
}

/// Reads the feed as a subscription does.
struct Reader<'a> {
    store: &'a PostgresStore,
    after: Position,
    seen: Vec<(Uuid, String, u64)>,
    /// The same through a filter.
    after_of_placed: Position,
    placed: Vec<Uuid>,
}

impl Reader<'_> {
    async fn poll(&mut self) {
        let page = self.store.read_all(self.after, &Filter::all(), 100).await.unwrap();
        let mut versions = HashMap::new();
        for (_, stream, version) in &self.seen {
            versions.insert(stream.clone(), *version);
        }
        for event in page.events {
            assert!(event.position > self.after, "nothing appears behind a reader");
            self.after = event.position;
            let before = versions.insert(event.stream.to_string(), event.version.get());
            assert_eq!(event.version.get(), before.unwrap_or_default() + 1, "a stream is in order");
            self.seen.push((event.id, event.stream.to_string(), event.version.get()));
        }
        self.poll_placed().await;
    }

    /// Looks for events of a type, which is that of all: what is not shown is what was not there when it was looked at.
    async fn poll_placed(&mut self) {
        let filter = Filter::all().event_types(["Placed"]);
        let page = self.store.read_all(self.after_of_placed, &filter, 100).await.unwrap();
        self.placed.extend(page.events.iter().map(|event| event.id));
        self.after_of_placed = page.scanned;
    }
}
