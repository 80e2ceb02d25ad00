//! A consumer that keeps in PostgreSQL which events of a stream it has seen, as the page of `MessageHandler` shows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eventsource_runtime::bus::{HandlerError, InProcessBus, Message, MessageHandler, Received};
use eventsource_runtime::store::{StreamId, Version};
use eventsource_runtime::testing::run;
use eventsource_tests::services;
use tokio::sync::{Mutex, mpsc};
use tokio_postgres::Client;

struct Prices {
    client: Mutex<Client>,
    fails: AtomicBool,
}

impl MessageHandler for Prices {
    async fn handle(&self, message: Received) -> Result<(), HandlerError> {
        if self.fails.swap(false, Ordering::SeqCst) {
            return Err(HandlerError::new("not yet").permanent());
        }
        let (Some(stream), Some(version)) = (message.stream(), message.version()) else {
            return Err(HandlerError::new("a message that is no stored event").permanent());
        };
        let cents: i64 = std::str::from_utf8(message.payload())?.parse()?;
        let mut client = self.client.lock().await;
        let transaction = client.transaction().await?;
        let seen = "INSERT INTO seen AS last VALUES ('prices', $1, $2)
            ON CONFLICT (consumer, stream) DO UPDATE SET version = excluded.version
            WHERE last.version < excluded.version";
        if transaction.execute(seen, &[&stream.as_str(), &version]).await? == 1 {
            let upsert = "INSERT INTO prices VALUES ($1, $2)
                ON CONFLICT (article) DO UPDATE SET cents = excluded.cents";
            transaction.execute(upsert, &[&stream.as_str(), &cents]).await?;
            transaction.execute("UPDATE effects SET count = count + 1", &[]).await?;
        }
        Ok(transaction.commit().await?)
    }
}

#[test]
fn a_dead_letter_that_is_replayed_does_not_undo_what_came_after_it() {
    run(async {
        let (client, schema) = (services::raw(&services::postgres()).await, services::a_schema());
        let tables = format!(
            "CREATE SCHEMA {schema}; SET search_path = {schema}; \
             CREATE TABLE seen (consumer TEXT, stream TEXT, version BIGINT, PRIMARY KEY (consumer, stream)); \
             CREATE TABLE prices (article TEXT PRIMARY KEY, cents BIGINT); \
             CREATE TABLE effects (count BIGINT); INSERT INTO effects VALUES (0)"
        );
        client.batch_execute(&tables).await.unwrap();
        let prices = Arc::new(Prices { client: Mutex::new(client), fails: AtomicBool::new(true) });
        let (tell, mut handled) = mpsc::unbounded_channel();
        let keeping = {
            let prices = Arc::clone(&prices);
            move |message: Received| {
                let (prices, tell) = (Arc::clone(&prices), tell.clone());
                async move {
                    let result = prices.handle(message).await;
                    tell.send(result.is_ok())?;
                    result
                }
            }
        };
        let changed = |version: u64| {
            let price = Message::new(StreamId::new("Article", 7), "PriceChanged", (version * 100).to_string());
            price.with_version(Version::new(version))
        };
        let bus = InProcessBus::new();
        let running = bus.subscribe("prices").handle(keeping.clone()).await.unwrap();
        bus.publish_all([changed(1), changed(2), changed(2), changed(3)]).await.unwrap();
        for expected in [false, true, true, true] {
            assert_eq!(handled.recv().await, Some(expected));
        }
        running.shutdown().await.unwrap();
        bus.retry_dead_letters("prices").handle(keeping).await.unwrap().finished().await.unwrap();
        assert_eq!(handled.recv().await, Some(true), "it is passed over");

        let client = prices.client.lock().await;
        let row = client.query_one("SELECT cents, count FROM prices, effects", &[]).await.unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (300, 2), "of the second event and the third");
        client.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
    });
}
