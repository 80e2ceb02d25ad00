//! Several members of a group at one queue, and members that never get a message done.

use std::sync::{Arc, Mutex};

use eventsource_runtime::bus::{HandlerError, RabbitMqBus, RabbitMqOptions, Received, Subscription};
use eventsource_runtime::store::StreamId;
use eventsource_runtime::testing;
use eventsource_tests::dropping::dropped_after;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use uuid::Uuid;

use super::faults::{abort_a_member, has_one_message, operator};
use super::{open, options};
use crate::messages::{collecting, in_time, message, ordinal, until};

/// What handlers began and ended, in order.
type Diary = Arc<Mutex<Vec<(&'static str, usize)>>>;

/// A member of a group that takes its time for each message.
async fn member(bus: &RabbitMqBus, diary: &Diary) -> Subscription {
    let diary = Arc::clone(diary);
    let handler = move |received: Received| {
        let (diary, number) = (Arc::clone(&diary), ordinal(&received));
        async move {
            diary.lock().unwrap().push(("begins", number));
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            diary.lock().unwrap().push(("ends", number));
            Ok::<_, HandlerError>(())
        }
    };
    bus.subscribe("one").handle(handler).await.unwrap()
}

async fn until_ended(diary: &Diary, number: usize) {
    until(async || diary.lock().unwrap().contains(&("ends", number))).await;
}

/// A member that was dropped while the broker made it one stayed one, which handled nothing and held up the others.
#[test]
fn a_member_that_is_dropped_before_it_is_one_leaves_none_behind() {
    testing::run(async {
        let bus = open(options().queues(1)).await;
        for polls in 1.. {
            let handler = async |_: Received| Ok::<_, HandlerError>(());
            let joining = bus.subscribe("one").handle(handler);
            let joined = in_time(dropped_after(polls, joining)).await;
            if let Some(joined) = joined {
                joined.unwrap().shutdown().await.unwrap();
                break;
            }
        }
        let (running, mut seen) = collecting(&bus).await;
        bus.publish(message(&StreamId::new("Order", 1), 7)).await.unwrap();
        assert_eq!(ordinal(&in_time(seen.recv()).await.unwrap()), 7);
        running.shutdown().await.unwrap();
    });
}

/// One of them stands by until the other one goes, of which it takes over while messages come.
#[test]
fn two_members_of_a_queue_handle_a_stream_one_message_after_the_other() {
    testing::run(async {
        let (options, diary) = (options().queues(1), Diary::default());
        let first = member(&open(options.clone()).await, &diary).await;
        let second = member(&open(options.clone()).await, &diary).await;
        let (bus, stream) = (open(options).await, StreamId::new("Order", 1));
        let some = |numbers: std::ops::Range<usize>| bus.publish_all(numbers.map(|number| message(&stream, number)));
        some(0..200).await.unwrap();
        until_ended(&diary, 100).await;
        let (ended, published) = tokio::join!(first.shutdown(), some(200..400));
        published.unwrap();
        until_ended(&diary, 399).await;
        let by_each = [ended.unwrap().acknowledged, second.shutdown().await.unwrap().acknowledged];
        assert!(by_each.iter().all(|handled| *handled > 0) && by_each.iter().sum::<u64>() == 400, "{by_each:?}");
        let in_turn: Vec<_> = (0..400).flat_map(|number| [("begins", number), ("ends", number)]).collect();
        assert_eq!(*diary.lock().unwrap(), in_turn);
    });
}

/// Whatever ends its members: it would otherwise come first for ever, and hold up all that is behind it.
#[test]
fn a_message_that_is_delivered_more_often_than_it_may_becomes_a_dead_letter() {
    testing::run(async {
        let name = format!("eventsource-tests-{}", Uuid::now_v7());
        let bus = open(RabbitMqOptions::new(&name).delivery_limit(2)).await;
        for delivery in 1..=3 {
            abort_a_member(&bus, async || {
                if delivery == 1 {
                    bus.publish(message(&StreamId::new("Order", 1), 7)).await.unwrap();
                }
            })
            .await;
        }
        has_one_message(&format!("{name}.one.dead"), Some(u32::MAX.into())).await;
        let (running, mut seen) = collecting(&bus).await;
        bus.publish(message(&StreamId::new("Order", 1), 8)).await.unwrap();
        assert_eq!(ordinal(&in_time(seen.recv()).await.unwrap()), 8, "what is behind it goes on");
        running.shutdown().await.unwrap();
    });
}

/// The broker refuses a declaration that is not that of the queue which is there.
#[test]
fn a_queue_is_declared_with_all_that_its_promises_rest_on() {
    testing::run(async {
        let name = format!("eventsource-tests-{}", Uuid::now_v7());
        let (running, _seen) = collecting(&open(RabbitMqOptions::new(&name).delivery_limit(7)).await).await;
        let text = |text: &str| AMQPValue::LongString(text.into());
        let arguments = [
            ("x-dead-letter-exchange", text(&format!("{name}.dead"))),
            ("x-dead-letter-routing-key", text(&format!("{name}.one"))),
            ("x-dead-letter-strategy", text("at-least-once")),
            ("x-delivery-limit", AMQPValue::LongLongInt(7)),
            ("x-overflow", text("reject-publish")),
            ("x-queue-type", text("quorum")),
            ("x-single-active-consumer", AMQPValue::Boolean(true)),
        ];
        let declare_without = async |left_out: &str| {
            let mut table = FieldTable::default();
            for (name, value) in arguments.iter().filter(|(name, _)| *name != left_out) {
                table.insert((*name).into(), value.clone());
            }
            let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            operator().await.queue_declare(format!("{name}.one").into(), durable, table).await
        };
        declare_without("nothing").await.unwrap();
        for (name, _) in &arguments {
            assert!(declare_without(name).await.is_err(), "{name}");
        }
        running.shutdown().await.unwrap();
    });
}
