//! What only other producers write, and no message of ours has.

use eventsource_runtime::bus::{HandlerError, RabbitMqOptions, Received, Tally};
use eventsource_runtime::testing;
use lapin::BasicProperties;
use lapin::options::{BasicGetOptions, BasicPublishOptions, BasicRejectOptions};
use lapin::types::{AMQPValue, DecimalValue, FieldTable, ShortString};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::faults::operator;
use super::open;
use crate::messages::{in_time, until};

/// Nobody could tell where to answer, nor what the message was.
#[test]
fn a_dead_letter_has_all_that_its_message_came_with() {
    testing::run(async {
        let name = format!("eventsource-tests-{}", Uuid::now_v7());
        let bus = open(RabbitMqOptions::new(&name)).await;
        let (tell, mut content_types) = mpsc::unbounded_channel();
        let refuse = move |received: Received| {
            let told = tell.send(received.content_type().map(str::to_owned));
            async move {
                told?;
                Err::<(), HandlerError>(HandlerError::new("no").permanent())
            }
        };
        let running = bus.subscribe("one").handle(refuse.clone()).await.unwrap();
        let options = BasicPublishOptions::default();
        operator().await.basic_publish(name.as_str().into(), "foreign".into(), options, b"<a/>", sent()).await.unwrap();
        until(async || running.tally().dead_lettered > 0).await;
        running.shutdown().await.unwrap();
        assert_has_all(&letter(&name).await);
        // What was looked at is there again when the broker comes to that.
        let tally = in_time(async {
            loop {
                let again = bus.retry_dead_letters("one").handle(refuse.clone()).await.unwrap();
                let tally = again.finished().await.unwrap();
                if tally != Tally::default() {
                    return tally;
                }
            }
        })
        .await;
        assert_eq!(tally.dead_lettered, 1, "it was tried again in vain");
        assert_has_all(&letter(&name).await);
        for _ in 0..2 {
            assert_eq!(content_types.recv().await.unwrap().as_deref(), Some("application/xml"));
        }
    });
}

/// All that the protocol has room for, but for the user, who depends on the broker.
fn sent() -> BasicProperties {
    let text = |text: &str| AMQPValue::LongString(text.into());
    let mut table = FieldTable::default();
    table.insert("since".into(), AMQPValue::Timestamp(1_700_000_000));
    let mut headers = FieldTable::default();
    headers.insert("CC".into(), AMQPValue::FieldArray(vec![text("elsewhere")].into()));
    headers.insert("bytes".into(), AMQPValue::ByteArray(b"\xff\x00".to_vec().into()));
    headers.insert("flag".into(), AMQPValue::Boolean(true));
    headers.insert("list".into(), AMQPValue::FieldArray(vec![text("a"), AMQPValue::LongInt(7)].into()));
    headers.insert("nothing".into(), AMQPValue::Void);
    headers.insert("number".into(), AMQPValue::LongInt(42));
    headers.insert("price".into(), AMQPValue::DecimalValue(DecimalValue { scale: 2, value: 995 }));
    headers.insert("since".into(), AMQPValue::Timestamp(1_700_000_000));
    headers.insert("table".into(), AMQPValue::FieldTable(table));
    headers.insert("tenant".into(), text("north"));
    BasicProperties::default()
        .with_content_type("application/xml".into())
        .with_content_encoding("gzip".into())
        .with_headers(headers)
        .with_priority(3)
        .with_correlation_id("order 42".into())
        .with_reply_to("answers".into())
        .with_expiration("600000".into())
        .with_message_id("a message".into())
        .with_timestamp(1_700_000_001)
        .with_type("order.placed".into())
        .with_app_id("shop".into())
}

/// The dead letter, which stays where it is.
async fn letter(name: &str) -> BasicProperties {
    let (channel, queue) = (operator().await, format!("{name}.one.dead"));
    let got = in_time(async {
        loop {
            let got = channel.basic_get(queue.as_str().into(), BasicGetOptions::default()).await.unwrap();
            if let Some(got) = got {
                return got.delivery;
            }
        }
    })
    .await;
    got.acker.reject(BasicRejectOptions { requeue: true }).await.unwrap();
    got.properties
}

fn assert_has_all(letter: &BasicProperties) {
    let sent = sent();
    assert_eq!(texts(letter), texts(&sent));
    assert_eq!((letter.priority(), letter.timestamp()), (sent.priority(), sent.timestamp()));
    assert_eq!(*letter.expiration(), None, "it would go");
    let headers = letter.headers().as_ref().unwrap();
    for (name, value) in sent.headers().iter().flatten() {
        let expected = Some(value).filter(|_| name.as_str() != "CC");
        assert_eq!(headers.inner().get(name), expected, "{name}");
    }
}

fn texts(of: &BasicProperties) -> [&Option<ShortString>; 7] {
    [
        of.content_type(),
        of.content_encoding(),
        of.correlation_id(),
        of.reply_to(),
        of.message_id(),
        of.kind(),
        of.app_id(),
    ]
}
