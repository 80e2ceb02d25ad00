//! Connections behind TLS.

use eventsource_runtime::store::{EventStore, ExpectedVersion, PostgresOptions, PostgresStore};
use eventsource_runtime::testing::run;
use eventsource_tests::services::{self, PostgresServer};

use super::{a_stream, events};

/// The server's certificate is from an authority of the test's own, for the address 127.0.0.1 alone.
#[test]
fn a_server_is_trusted_by_its_certificate_and_its_name() {
    run(async {
        let server = PostgresServer::start();
        let authority = server.certify();
        let address = format!("{}?sslmode=require&application_name=behind_tls", server.address());
        let trusting = || PostgresOptions::default().root_certificates(authority.clone());
        let store = PostgresStore::connect_with(&address, trusting()).await.unwrap();
        store.append(&a_stream(), ExpectedVersion::NoStream, events(3)).await.unwrap();
        assert_eq!(store.head().await.unwrap(), 3);
        let raw = services::raw(&server.address()).await;
        let sessions = "SELECT count(*) FILTER (WHERE ssl), count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
            WHERE application_name = 'behind_tls'";
        let row = raw.query_one(sessions, &[]).await.unwrap();
        let (behind, all): (i64, i64) = (row.get(0), row.get(1));
        assert!(behind == all && all > 0, "{behind} of {all} sessions are behind TLS");

        let unknown = PostgresStore::connect(&address).await.expect_err("nobody vouches for the server");
        let renamed = address.replace("127.0.0.1", "localhost");
        let renamed = PostgresStore::connect_with(&renamed, trusting()).await.expect_err("it has another name");
        for error in [unknown, renamed] {
            assert!(format!("{error:?}").contains("certificate"), "{error:?}");
        }
        let useless = PostgresStore::connect_with(&server.address(), trusting()).await;
        assert!(format!("{useless:?}").contains("does not ask for TLS"), "{useless:?}");
    });
}
