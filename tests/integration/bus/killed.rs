//! A relay and a consumer that die at any time: each event has its effect once, those of a stream in order.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eventsource_runtime::bus::{
    EventBus, HandlerError, KafkaBus, KafkaOptions, RabbitMqBus, RabbitMqOptions, Received, Relay, Traced,
};
use eventsource_runtime::store::SqliteStore;
use eventsource_runtime::testing;
use eventsource_tests::alone::alone;
use eventsource_tests::scratch::Scratch;
use eventsource_tests::services;
use rusqlite::Connection;
use uuid::Uuid;

use crate::{bus, place, ship};

/// What the child is, `relay` or `consumer`; the folder with its files; the broker; and where messages go.
const ROLE: &str = "EVENTSOURCE_TESTS_ROLE";
const FOLDER: &str = "EVENTSOURCE_TESTS_FOLDER";
const SYSTEM: &str = "EVENTSOURCE_TESTS_SYSTEM";
const DESTINATION: &str = "EVENTSOURCE_TESTS_DESTINATION";
/// How often each of the two is killed here; set to more for a long run.
const KILLS: &str = "EVENTSOURCE_TESTS_KILLS";
/// How many orders are placed and shipped between two kills.
const ORDERS: usize = 12;

#[test]
fn on_rabbitmq_a_relay_and_a_consumer_may_die_at_any_time() {
    testing::run(async {
        // Without a broker it ends here.
        drop(services::rabbitmq());
        survive("rabbitmq").await;
    });
}

#[test]
fn on_kafka_a_relay_and_a_consumer_may_die_at_any_time() {
    testing::run(async {
        drop(services::kafka());
        survive("kafka").await;
    });
}

/// A child, and what it tells: a line a message that was handled.
struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(role: &str, system: &str, folder: &Path) -> Self {
        let destination = folder.file_name().unwrap();
        let mut child = alone("bus::killed::dies")
            .envs([(ROLE, role), (SYSTEM, system)])
            .env(FOLDER, folder)
            .env(DESTINATION, destination)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    fn handled(&mut self, messages: usize) {
        let mut left = messages;
        while left > 0 {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the child ended by itself");
            left -= usize::from(line.trim_end() == "handled");
        }
    }
}

/// SIGKILL on Unix: nothing of it runs after this.
impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn survive(system: &'static str) {
    let kills = services::repeats(KILLS, 3);
    let scratch = Scratch::new();
    let folder = scratch.folder();
    let (store, effects) = (SqliteStore::open(events(folder)).await.unwrap(), effects(folder));
    let start = |role| Process::start(role, system, folder);
    let (mut consumer, mut relay) = (start("consumer"), start("relay"));
    let mut expected = 0;
    // Each of them alone, and both at once.
    for cycle in 0..kills * 3 / 2 {
        expected += append(&store).await;
        consumer.handled(1 + cycle * 7 % ORDERS);
        if cycle % 3 != 1 {
            drop(consumer);
            consumer = start("consumer");
        }
        if cycle % 3 != 0 {
            drop(relay);
            relay = start("relay");
        }
    }
    let until = std::time::Instant::now() + Duration::from_mins(2);
    while count(&effects, "SELECT count(*) FROM inbox") < expected {
        assert!(
            std::time::Instant::now() < until,
            "lost: {}",
            expected - count(&effects, "SELECT count(*) FROM inbox")
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop((consumer, relay));
    assert_eq!(count(&effects, "SELECT sum(effects) FROM streams"), expected, "each event has had its effect once");
    let disordered = "SELECT count(*) FROM inbox a JOIN inbox b ON a.stream = b.stream AND a.version < b.version \
        AND a.number > b.number";
    assert_eq!(count(&effects, disordered), 0);
    println!("{system}: {kills} kills of each, {expected} events, lost 0, effects doubled 0");
    store.close().await;
}

async fn append(store: &SqliteStore) -> i64 {
    let commands = bus(store);
    for _ in 0..ORDERS {
        let order = Uuid::now_v7();
        commands.dispatch(place(order)).await.unwrap();
        commands.dispatch(ship(order)).await.unwrap();
    }
    i64::try_from(2 * ORDERS).unwrap()
}

fn events(folder: &Path) -> PathBuf {
    folder.join("events.db")
}

/// The consumer's own tables: what it has seen, and the effects, in one transaction.
fn effects(folder: &Path) -> Connection {
    let connection = Connection::open(folder.join("effects.db")).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    let create = "PRAGMA journal_mode = WAL; \
        CREATE TABLE IF NOT EXISTS inbox (number INTEGER PRIMARY KEY, event TEXT UNIQUE, stream TEXT, version INTEGER); \
        CREATE TABLE IF NOT EXISTS streams (stream TEXT PRIMARY KEY, effects INTEGER)";
    connection.execute_batch(create).unwrap();
    connection
}

fn count(effects: &Connection, sql: &str) -> i64 {
    effects.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Does its work only in a process that the tests above start and kill.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dies() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let destination = std::env::var(DESTINATION).unwrap();
    if std::env::var(SYSTEM).unwrap() == "kafka" {
        // Whoever comes next waits for so long for what a consumer had that was killed; one that is busy has as long.
        let options = KafkaOptions::new(destination).create(2, 1).session_timeout(Duration::from_secs(6));
        be(&role, &folder, KafkaBus::connect(&services::kafka(), options).await.unwrap()).await;
    } else {
        let options = RabbitMqOptions::new(destination).queues(2).delivery_limit(1000);
        be(&role, &folder, RabbitMqBus::connect(&services::rabbitmq(), options).await.unwrap()).await;
    }
}

async fn be<B: EventBus>(role: &str, folder: &Path, bus: Traced<B>) {
    if role == "relay" {
        let store = SqliteStore::open(events(folder)).await.unwrap();
        // A relay that was killed leaves its lease behind.
        let relay = Relay::new("to the bus", store, bus).lease(Duration::from_millis(200)).spawn();
        std::future::pending::<()>().await;
        drop(relay);
        return;
    }
    let effects = Arc::new(Mutex::new(effects(folder)));
    let running = bus.subscribe("one").lanes(2).handle(move |received| {
        let effects = Arc::clone(&effects);
        async move { handle(&effects, &received) }
    });
    let running = running.await.unwrap();
    running.finished().await.unwrap();
}

fn handle(effects: &Mutex<Connection>, received: &Received) -> Result<(), HandlerError> {
    let lack = || HandlerError::new("an event has an id, a stream and a version");
    let (event, stream) = (received.id().ok_or_else(lack)?.to_string(), received.stream().ok_or_else(lack)?.as_str());
    let version = i64::try_from(received.version().ok_or_else(lack)?.get())?;
    let mut effects = effects.lock().unwrap();
    let transaction = effects.transaction()?;
    let seen = "INSERT OR IGNORE INTO inbox (event, stream, version) VALUES (?1, ?2, ?3)";
    if transaction.execute(seen, (event, stream, version))? > 0 {
        let effect = "INSERT INTO streams VALUES (?1, 1) ON CONFLICT DO UPDATE SET effects = effects + 1";
        transaction.execute(effect, [stream])?;
    }
    transaction.commit()?;
    println!("handled");
    Ok(())
}
