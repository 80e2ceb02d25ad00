//! TLS before a broker that has none of its own, with certificates that a test has signed.

use std::net::{SocketAddr, TcpStream as Probe};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::bus::{BusError, KafkaBus, KafkaOptions};
use eventsource_runtime::store::StreamId;
use eventsource_runtime::testing;
use eventsource_tests::scratch::Scratch;
use eventsource_tests::services;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::options;
use crate::certificates::Authority;
use crate::messages::{collecting, in_time, message, ordinal};

/// The variable that names the program of a broker, Tansu.
const PROGRAM: &str = "EVENTSOURCE_KAFKA_PROGRAM";

/// The file with the certificate of an authority.
const AUTHORITY: &str = "authority.pem";

/// A broker that tells its clients the address at which it is behind TLS.
struct Broker {
    running: Child,
    address: String,
    /// The folder with the certificate of an authority.
    trusted: Scratch,
}

impl Broker {
    /// Signed by one authority, where clients trust the other.
    async fn start(signed: &Authority, trusted: &Authority) -> Self {
        let missing = || testing::skip(&format!("no program of Kafka's; set {PROGRAM}, or run tests/run --long"));
        let program = std::env::var_os(PROGRAM).unwrap_or_else(missing);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // A name: librdkafka looks for no address in a certificate.
        let address = format!("localhost:{}", listener.local_addr().unwrap().port());
        let plain = SocketAddr::from(([127, 0, 0, 1], services::free_port()));
        let mut command = Command::new(program);
        command.args(["broker", "--storage-engine", "memory://tansu/", "--listener-url", &format!("tcp://{plain}")]);
        command.args(["--advertised-listener-url", &format!("tcp://{address}")]);
        let running = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        in_time(async {
            while Probe::connect(plain).is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        let (certificate, key) = signed.sign();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth().with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        );
        let tls = TlsAcceptor::from(Arc::new(config.unwrap()));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let tls = tls.clone();
                tokio::spawn(async move {
                    let Ok(mut client) = tls.accept(client).await else { return };
                    let mut broker = TcpStream::connect(plain).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut broker).await;
                });
            }
        });
        let scratch = Scratch::new();
        std::fs::write(scratch.folder().join(AUTHORITY), trusted.pem()).unwrap();
        Self { running, address, trusted: scratch }
    }

    fn options(&self) -> KafkaOptions {
        options(1).tls().set("ssl.ca.location", self.trusted.folder().join(AUTHORITY).to_str().unwrap())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.running.kill();
        let _ = self.running.wait();
    }
}

#[test]
fn messages_go_through_tls_to_brokers_whose_authority_is_known() {
    testing::run(async {
        let authority = Authority::new();
        let broker = Broker::start(&authority, &authority).await;
        let bus = KafkaBus::connect(&broker.address, broker.options()).await.unwrap();
        let (running, mut seen) = collecting(&bus).await;
        bus.publish(message(&StreamId::new("Order", 1), 7)).await.unwrap();
        assert_eq!(ordinal(&in_time(seen.recv()).await.unwrap()), 7);
        running.shutdown().await.unwrap();
    });
}

#[test]
fn brokers_that_nobody_known_has_signed_are_refused_and_the_error_says_what_to_do() {
    testing::run(async {
        let broker = Broker::start(&Authority::new(), &Authority::new()).await;
        let Err(error) = KafkaBus::connect(&broker.address, broker.options()).await else {
            panic!("it trusts anybody")
        };
        assert!(matches!(error, BusError::Backend { .. }), "{error:?}");
        assert!(error.to_string().contains("`KafkaOptions::set(\"ssl.ca.location\", ..)`"), "{error}");
    });
}
