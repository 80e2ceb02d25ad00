//! Opening a store: its schema, and what is refused.

use eventsource_runtime::store::{EventStore, ExpectedVersion, PostgresOptions, PostgresStore, StoreError};
use eventsource_runtime::testing::run;
use eventsource_tests::services;

use super::{a_stream, events, open_in};

/// Programs that start together make the schema once.
#[test]
fn many_make_the_schema_at_once() {
    run(async {
        // Skipped here where there is no server, not in each of the tasks.
        let _address = services::postgres();
        let schema = services::a_schema();
        let opening: Vec<_> = (0..8)
            .map(|_| {
                let schema = schema.clone();
                tokio::spawn(async move { open_in(&schema).await })
            })
            .collect();
        for (number, store) in opening.into_iter().enumerate() {
            let appended = store.await.unwrap().append(&a_stream(), ExpectedVersion::NoStream, events(1)).await;
            assert_eq!(appended.unwrap().position.get(), number as u64 + 1);
        }
    });
}

#[test]
fn a_newer_schema_is_refused() {
    run(async {
        let schema = services::a_schema();
        open_in(&schema).await.close();
        let raw = services::raw(&services::postgres()).await;
        raw.batch_execute(&format!("INSERT INTO {schema}.eventsource_schema VALUES (999)")).await.unwrap();
        let opened =
            PostgresStore::connect_with(&services::postgres(), PostgresOptions::default().schema(schema)).await;
        assert!(matches!(opened, Err(StoreError::Schema { found: 999, .. })), "{opened:?}");
    });
}

/// An address that asks for TLS gets it or an error, and nothing of the address is in that.
#[test]
fn a_server_without_tls_is_refused_where_the_address_asks_for_it() {
    run(async {
        let address = services::postgres().replace("postgres://es@", "postgres://es:secret@");
        let opened = PostgresStore::connect(&format!("{address}?sslmode=require")).await;
        let error = opened.expect_err("the server has no TLS");
        assert!(format!("{error:?}").contains("TLS"), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("secret"));
    });
}

#[test]
fn a_schema_that_would_have_to_be_quoted_is_refused() {
    run(async {
        for name in ["", "with space", "quote\"", "much_too_long_for_a_name_of_postgresql_which_has_63_bytes_at_most_"]
        {
            let options = PostgresOptions::default().schema(name);
            assert!(PostgresStore::connect_with(&services::postgres(), options).await.is_err(), "{name}");
        }
    });
}

#[test]
fn a_closed_store_says_so() {
    run(async {
        let store = open_in(&services::a_schema()).await;
        store.close();
        let appended = store.append(&a_stream(), ExpectedVersion::Any, events(1)).await;
        assert_eq!(appended.unwrap_err().error_type(), "closed");
        assert!(matches!(store.head().await, Err(StoreError::Closed)));
    });
}

/// Telemetry and `Debug` know where the server is, and no credentials.
#[test]
fn credentials_are_shown_nowhere() {
    run(async {
        let address = services::postgres().replace("postgres://es@", "postgres://es:secret@");
        let options = PostgresOptions::default().schema(services::a_schema());
        let store = PostgresStore::connect_with(&address, options).await.unwrap();
        let info = store.info();
        assert_eq!((info.system, info.collection), (Some("postgresql"), "events"));
        assert!(info.server.is_some());
        assert!(!format!("{store:?} {info:?}").contains("secret"));
    });
}
