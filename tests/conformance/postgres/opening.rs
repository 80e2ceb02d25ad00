//! Opening a store: its schema, and what is refused.

use std::time::Duration;

use eventsource_runtime::projection::{Claim, Partition, ProjectionStore};
use eventsource_runtime::snapshot::SnapshotStore;
use eventsource_runtime::store::{
    EventStore, ExpectedVersion, Filter, Position, PostgresOptions, PostgresStore, StoreError, StreamId, Version,
};
use eventsource_runtime::testing::run;
use eventsource_tests::services;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_postgres::Client;

use super::{a_stream, events, open_in, options};
use crate::messages::until;

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

/// All the time went to the first, from which nobody heard, and each attempt began with it again.
#[test]
fn of_several_servers_one_that_answers_is_worked_with() {
    run(async {
        let (address, schema) = (services::postgres(), services::a_schema());
        let (before, port) = address.split_once("@127.0.0.1:").expect("the server is on loopback");
        let silent = Silent::start().await;
        let hosts = format!("{before}@127.0.0.1:{},127.0.0.1:{port}", silent.port);
        let options = PostgresOptions::default().schema(&schema).connect_timeout(Duration::from_secs(9));
        let store = PostgresStore::connect_with(&hosts, options).await.expect("the second answers");
        store.append(&a_stream(), ExpectedVersion::NoStream, events(1)).await.unwrap();
    });
}

/// A machine from which no answer comes: the kernel drops what would connect where a queue is full.
struct Silent {
    port: u16,
    _listening: (TcpListener, Vec<TcpStream>),
}

impl Silent {
    async fn start() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let (address, mut waiting) = (listener.local_addr().unwrap(), Vec::new());
        while let Ok(connected) = timeout(Duration::from_secs(2), TcpStream::connect(address)).await {
            waiting.push(connected.unwrap());
        }
        Self { port: address.port(), _listening: (listener, waiting) }
    }
}

#[test]
fn a_newer_schema_is_refused() {
    run(async {
        let schema = services::a_schema();
        open_in(&schema).await.close();
        let raw = services::raw(&services::postgres()).await;
        raw.batch_execute(&format!("INSERT INTO {schema}.eventsource_schema VALUES (999)")).await.unwrap();
        let opened = PostgresStore::connect_with(&services::postgres(), options(&schema)).await;
        assert!(matches!(opened, Err(StoreError::Schema { found: 999, .. })), "{opened:?}");
    });
}

/// The server's address with a password, for which the server does not ask.
fn with_a_password() -> String {
    let address = services::postgres().replace("postgres://es@", "postgres://es:secret@");
    assert!(address.contains("secret"), "there is no room for a password in {address}");
    address
}

/// An address that asks for TLS gets it or an error, and nothing of the address is in that.
#[test]
fn a_server_without_tls_is_refused_where_the_address_asks_for_it() {
    run(async {
        let address = with_a_password();
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
            let refused = PostgresStore::connect_with(&services::postgres(), options).await;
            assert!(matches!(refused, Err(StoreError::Refused { .. })), "{name}: {refused:?}");
        }
    });
}

/// It passed for a server in trouble, which is waited for.
#[test]
fn an_address_that_cannot_be_used_is_refused() {
    run(async {
        for address in ["here", "postgres:///orders", "postgres://es@here/orders?sslmode=prefer"] {
            let refused = PostgresStore::connect(address).await;
            assert!(matches!(refused, Err(StoreError::Refused { .. })), "{address}: {refused:?}");
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
        let address = with_a_password();
        let options = options(&services::a_schema());
        let store = PostgresStore::connect_with(&address, options).await.unwrap();
        let info = store.info();
        assert_eq!((info.system, info.collection), (Some("postgresql"), "events"));
        assert!(info.server.is_some());
        assert!(!format!("{store:?} {info:?}").contains("secret"));
    });
}

/// The schema as each version of it was.
const MIGRATIONS: [&str; 4] = [
    include_str!("../../../eventsource-runtime/migrations/postgres/0001_events.sql"),
    include_str!("../../../eventsource-runtime/migrations/postgres/0002_snapshots.sql"),
    include_str!("../../../eventsource-runtime/migrations/postgres/0003_projections.sql"),
    include_str!("../../../eventsource-runtime/migrations/postgres/0004_append_one.sql"),
];

/// What each version adds to a schema.
const CONTENTS: [&str; 4] = [
    "INSERT INTO {schema}.events VALUES \
        (1, 'Order-1', 1, '00000000-0000-0000-0000-000000000001', 'Placed', 1, 7, NULL, NULL, NULL, NULL, NULL, '1'), \
        (2, 'Order-1', 2, '00000000-0000-0000-0000-000000000002', 'Placed', 1, 7, NULL, NULL, NULL, NULL, NULL, '2')",
    "INSERT INTO {schema}.snapshots VALUES \
        ('Order-1', 'Order', 2, 2, '00000000-0000-0000-0000-000000000002', 1, 0, '{}')",
    "INSERT INTO {schema}.projection_partitions VALUES ('Views', 0, 1, 1, NULL, '', 'epoch')",
    "",
];

/// Makes a schema as it was at a version.
async fn make(raw: &Client, schema: &str, version: usize) {
    let mut made = format!(
        "CREATE SCHEMA {schema}; CREATE TABLE {schema}.eventsource_schema (version bigint PRIMARY KEY); \
        INSERT INTO {schema}.eventsource_schema VALUES ({version});"
    );
    for (migration, contents) in MIGRATIONS.iter().zip(CONTENTS).take(version) {
        made += &format!("{migration};\n{contents};\n").replace("{schema}", schema);
    }
    raw.batch_execute(&made).await.unwrap();
}

#[test]
fn a_schema_of_each_earlier_version_keeps_what_it_has() {
    run(async {
        for version in 1..=MIGRATIONS.len() {
            let schema = services::a_schema();
            let raw = services::raw(&services::postgres()).await;
            make(&raw, &schema, version).await;
            let store = open_in(&schema).await;
            let stream = StreamId::new("Order", 1);
            let page = store.read_all(Position::START, &Filter::all(), 10).await.unwrap();
            let read: Vec<_> = page.events.iter().map(|event| (event.position.get(), &event.payload()[..])).collect();
            assert_eq!(read, [(1, &b"1"[..]), (2, b"2")], "version {version}");
            for (at, count) in [(2, 1), (3, 2)] {
                let expected = ExpectedVersion::Exact(Version::new(at));
                let appended = store.append(&stream, expected, events(count)).await.unwrap();
                assert_eq!(appended.position.get(), at + count as u64);
            }
            assert_eq!(store.snapshot_exists(&stream).await.unwrap(), version >= 2);
            let claim = Claim::new(uuid::Uuid::now_v7(), "a test", Duration::from_secs(1));
            let lease = store.lease_projection(Partition::whole("Views"), claim).await;
            let checkpoint = lease.ok().map(|lease| (lease.checkpoint.get(), lease.taken));
            assert_eq!(checkpoint, (version >= 3).then_some((1, None)), "version {version}");
        }
    });
}

/// As after the death of a process in the middle of it.
#[test]
fn a_migration_that_fails_in_the_middle_leaves_the_schema_as_it_was() {
    run(async {
        let schema = services::a_schema();
        let raw = services::raw(&services::postgres()).await;
        make(&raw, &schema, 1).await;
        // In the way of the last of the tables to come.
        let table = format!("TABLE {schema}.projection_dead_letters");
        raw.batch_execute(&format!("CREATE {table} ()")).await.unwrap();
        let tables = async || {
            let sql = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class \
                WHERE relnamespace = $1::text::regnamespace";
            raw.query_one(sql, &[&schema]).await.unwrap().get::<_, String>(0)
        };
        let before = tables().await;
        let refused = PostgresStore::connect_with(&services::postgres(), options(&schema)).await.unwrap_err();
        assert!(format!("{refused:?}").contains("already exists"), "{refused:?}");
        assert_eq!(tables().await, before);
        raw.batch_execute(&format!("DROP {table}")).await.unwrap();
        assert_eq!(open_in(&schema).await.head().await.unwrap(), 2);
    });
}

/// The store says nothing of it, neither for one append nor for several at once.
#[test]
fn how_durable_a_commit_is_is_said_by_the_server_and_the_address() {
    run(async {
        for (address, expected) in [("", "on"), ("?options=-csynchronous_commit%3Dlocal", "local")] {
            let schema = services::a_schema();
            let store = PostgresStore::connect_with(&(services::postgres() + address), options(&schema)).await.unwrap();
            let raw = services::raw(&services::postgres()).await;
            let notes = "CREATE TABLE {schema}.notes (setting text); \
                CREATE FUNCTION {schema}.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                    INSERT INTO {schema}.notes VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$; \
                CREATE TRIGGER notes AFTER INSERT ON {schema}.events EXECUTE FUNCTION {schema}.note()";
            raw.batch_execute(&notes.replace("{schema}", &schema)).await.unwrap();
            for count in [1, 2] {
                store.append(&a_stream(), ExpectedVersion::NoStream, events(count)).await.unwrap();
            }
            let settings = format!("SELECT string_agg(DISTINCT setting, ' ') FROM {schema}.notes");
            assert_eq!(raw.query_one(&settings, &[]).await.unwrap().get::<_, String>(0), expected);
        }
    });
}

/// The migration waited for who reads the table, and everybody else behind it, for as long as the reader took.
#[test]
fn a_migration_that_waits_for_a_table_lets_others_through() {
    run(async {
        let schema = services::a_schema();
        let (raw, reader) = (services::raw(&services::postgres()).await, services::raw(&services::postgres()).await);
        make(&raw, &schema, 3).await;
        reader.batch_execute(&format!("BEGIN; SELECT count(*) FROM {schema}.events")).await.unwrap();
        let opening = tokio::spawn({
            let schema = schema.clone();
            async move { open_in(&schema).await }
        });
        let waits =
            format!("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = '{schema}.events'::regclass");
        until(async || {
            assert!(!opening.is_finished());
            raw.query_one(&waits, &[]).await.unwrap().get::<_, i64>(0) > 0
        })
        .await;
        let append = format!(
            "INSERT INTO {schema}.events VALUES (3, 'Order-1', 3, '00000000-0000-0000-0000-000000000003', \
            'Placed', 1, 7, NULL, NULL, NULL, NULL, NULL, '3')"
        );
        let appended = timeout(Duration::from_secs(20), raw.batch_execute(&append)).await;
        appended.expect("it does not wait for the reader").unwrap();
        reader.batch_execute("COMMIT").await.unwrap();
        assert_eq!(opening.await.unwrap().head().await.unwrap(), Position::new(3));
    });
}
