//! Messages that come more than once, to handlers that keep the ids of those that they have seen beside their effects,
//! as the page of `MessageHandler` shows it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eventsource_runtime::bus::{EventBus, HandlerError, InProcessBus, Message, MessageHandler, Received, Traced};
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{Filter, MemoryStore, StreamId};
use eventsource_tests::dice::Dice;
use eventsource_tests::own_bus::remote;
use rusqlite::Connection;
use uuid::Uuid;

use super::spans::until_settled;
use crate::{bus, place, ship};

const STREAMS: u64 = 20;
/// How many messages a stream has.
const MESSAGES: u64 = 20;
const CONSUMERS: [&str; 2] = ["stock", "mail"];

/// What a handler is in for, on some of its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    /// It fails with its effect made and not committed.
    Before,
    /// It fails though its effect is committed, as where the answer to the commit is lost.
    After,
}

/// A consumer whose inbox is a table beside its effects.
struct Consumer {
    name: &'static str,
    tables: Arc<Mutex<Connection>>,
    dice: Mutex<Dice>,
}

impl Consumer {
    fn trouble(&self) -> Trouble {
        match self.dice.lock().unwrap().below(10) {
            0 => Trouble::Before,
            1 => Trouble::After,
            _ => Trouble::None,
        }
    }
}

impl MessageHandler for Consumer {
    async fn handle(&self, message: Received) -> Result<(), HandlerError> {
        let trouble = self.trouble();
        let id = message.id().expect("each has one").to_string();
        let mut tables = self.tables.lock().unwrap();
        let transaction = tables.transaction()?;
        let inbox = "INSERT INTO inbox VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        if transaction.execute(inbox, (self.name, &id))? == 1 {
            let effect = "INSERT INTO effects (consumer, event, stream, ordinal) VALUES (?1, ?2, ?3, ?4)";
            let stream = message.stream().expect("each has one").as_str();
            let ordinal: u64 = std::str::from_utf8(message.payload())?.parse()?;
            transaction.execute(effect, (self.name, &id, stream, ordinal))?;
        }
        if trouble == Trouble::Before {
            return Err(HandlerError::new("before the commit"));
        }
        transaction.commit()?;
        if trouble == Trouble::After { Err(HandlerError::new("behind the commit")) } else { Ok(()) }
    }
}

fn tables() -> Connection {
    let tables = Connection::open_in_memory().unwrap();
    let create = "CREATE TABLE inbox (consumer TEXT, event TEXT, PRIMARY KEY (consumer, event)); \
        CREATE TABLE effects (number INTEGER PRIMARY KEY, consumer TEXT, event TEXT, stream TEXT, ordinal INTEGER)";
    tables.execute_batch(create).unwrap();
    tables
}

/// Each message one to five times, those of a stream in order, and the streams in any.
fn deliveries(dice: &mut Dice) -> Vec<Message> {
    let mut stream = |stream| {
        let message = |ordinal: u64| Message::new(StreamId::new("Order", stream), "OrderPlaced", ordinal.to_string());
        let times = |message| vec![message; 1 + usize::try_from(dice.below(5)).unwrap()];
        (0..MESSAGES).map(message).flat_map(times).collect::<VecDeque<_>>()
    };
    let mut streams: Vec<_> = (0..STREAMS).map(&mut stream).collect();
    let mut all = Vec::new();
    while !streams.is_empty() {
        let at = usize::try_from(dice.below(streams.len() as u64)).unwrap();
        all.extend(streams[at].pop_front());
        if streams[at].is_empty() {
            streams.swap_remove(at);
        }
    }
    all
}

async fn have_their_effects_once<B: EventBus>(bus: Traced<B>) {
    let mut dice = Dice(Dice::seed());
    let (tables, deliveries) = (Arc::new(Mutex::new(tables())), deliveries(&mut dice));
    let mut running = Vec::new();
    for name in CONSUMERS {
        let consumer = Consumer { name, tables: Arc::clone(&tables), dice: Mutex::new(Dice(dice.below(u64::MAX))) };
        let patient = bus.subscribe(name).lanes(4).max_retries(1000).pauses(Duration::ZERO, Duration::ZERO);
        running.push(patient.handle(consumer).await.unwrap());
    }
    let count = deliveries.len() as u64;
    bus.publish_all(deliveries).await.unwrap();
    for subscription in running {
        until_settled(&subscription, count).await;
        assert_eq!(subscription.shutdown().await.unwrap().acknowledged, count);
    }
    let tables = tables.lock().unwrap();
    let number = |sql: &str| tables.query_row(sql, [], |row| row.get::<_, u64>(0)).unwrap();
    let expected = STREAMS * MESSAGES * CONSUMERS.len() as u64;
    assert_eq!(number("SELECT count(*) FROM (SELECT DISTINCT consumer, event FROM effects)"), expected, "lost");
    assert_eq!(number("SELECT count(*) FROM effects"), expected, "doubled");
    let disordered = "SELECT count(*) FROM effects a JOIN effects b ON a.consumer = b.consumer AND a.stream = b.stream \
        AND a.ordinal < b.ordinal AND a.number > b.number";
    assert_eq!(number(disordered), 0);
    println!("{count} deliveries of {} messages, effects doubled 0", STREAMS * MESSAGES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_come_up_to_five_times_have_their_effects_once_within_the_process() {
    have_their_effects_once(InProcessBus::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_come_up_to_five_times_have_their_effects_once_over_a_strangers_bus() {
    have_their_effects_once(remote()).await;
}

/// With the message's own id all but the first would count as done, or as another use of the id.
#[tokio::test]
async fn the_commands_of_several_consumers_are_all_handled_once() {
    let (events, store) = (InProcessBus::new(), MemoryStore::new());
    let (order, gift) = (Uuid::now_v7(), Uuid::now_v7());
    let commands = [Sent::Place(order), Sent::Ship(order), Sent::Place(gift)];
    let mut running = Vec::new();
    for (consumer, sent) in ["orders", "parcels", "gifts"].into_iter().zip(commands) {
        let commands = bus(&store);
        let handler = move |received: Received| sent.dispatch(commands.clone(), received.command_id(consumer));
        // The order is shipped once it is placed.
        let patient = events.subscribe(consumer).max_retries(1000).pauses(Duration::ZERO, Duration::ZERO);
        running.push(patient.handle(handler).await.unwrap());
    }
    events.publish_all(vec![Message::new(StreamId::new("Basket", 1), "Paid", "{}"); 3]).await.unwrap();
    for subscription in running {
        until_settled(&subscription, 3).await;
        assert_eq!(subscription.shutdown().await.unwrap().acknowledged, 3);
    }
    let stored = store.read_all(Position::START, &Filter::all(), 10).await.unwrap().events;
    let mut names: Vec<_> = stored.iter().map(|event| (&*event.event_type, event.stream.clone())).collect();
    names.sort();
    let [order, gift] = [order, gift].map(|id| StreamId::new("Order", id));
    let mut expected = [("OrderPlaced", order.clone()), ("OrderPlaced", gift), ("OrderShipped", order)];
    expected.sort();
    assert_eq!(names, expected);
}

#[derive(Clone, Copy)]
enum Sent {
    Place(Uuid),
    Ship(Uuid),
}

impl Sent {
    async fn dispatch(self, commands: CommandBus, command_id: Option<Uuid>) -> Result<(), HandlerError> {
        let context = Context { command_id, ..Context::default() };
        match self {
            Self::Place(order) => commands.dispatch_with(place(order), context).await?,
            Self::Ship(order) => commands.dispatch_with(ship(order), context).await?,
        };
        Ok(())
    }
}
