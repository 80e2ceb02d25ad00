//! Receivers behind TLS, which want to see a certificate: a proxy before the independent ones.

use std::fs;
use std::sync::{Arc, Mutex};

use eventsource_tests::scratch::Scratch;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

use super::headers::{self, HEADER};
use super::receivers::{Rotel, Tap};
use super::{assert_arrives, exported};

const SECRET: &str = "canary-77c0";

/// An authority, a server's certificate and a client's, with the files that a client needs.
struct Certificates {
    scratch: Scratch,
    server: ServerConfig,
}

impl Certificates {
    fn made(protocol: &[u8]) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let signed = |name: &str, usage| {
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.extended_key_usages = vec![usage];
            let key = KeyPair::generate().unwrap();
            (params.signed_by(&key, &authority).unwrap(), key)
        };
        let (server, server_key) = signed("localhost", ExtendedKeyUsagePurpose::ServerAuth);
        let (client, client_key) = signed("orders", ExtendedKeyUsagePurpose::ClientAuth);
        let scratch = Scratch::new();
        let folder = scratch.folder();
        fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
        fs::write(folder.join("client.pem"), client.pem()).unwrap();
        fs::write(folder.join("client.key"), client_key.serialize_pem()).unwrap();

        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
        let key = PrivateKeyDer::try_from(server_key.serialize_der()).unwrap();
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![server.der().clone()], key)
            .unwrap();
        server.alpn_protocols = vec![protocol.to_vec()];
        Self { scratch, server }
    }

    fn file(&self, name: &str) -> String {
        self.scratch.folder().join(name).to_str().unwrap().to_owned()
    }
}

/// What came out of the proxy's side of TLS, from all connections.
type Seen = Arc<Mutex<Vec<u8>>>;

/// Takes TLS, passes on what is in it to a port, and shows it.
async fn proxy(server: &ServerConfig, to: u16) -> (u16, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(server.clone()));
    let seen = Seen::default();
    let shown = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, shown) = (acceptor.clone(), Arc::clone(&shown));
            tokio::spawn(async move {
                // A client without a certificate is refused here.
                if let Ok(stream) = acceptor.accept(stream).await {
                    pass(stream, to, &shown).await;
                }
            });
        }
    });
    (port, seen)
}

async fn pass(stream: TlsStream<TcpStream>, to: u16, seen: &Seen) {
    let (mut from_client, mut to_client) = tokio::io::split(stream);
    let (mut from_server, mut to_server) = TcpStream::connect(("127.0.0.1", to)).await.unwrap().into_split();
    let forth = async {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            seen.lock().unwrap().extend_from_slice(&buffer[..read]);
            to_server.write_all(&buffer[..read]).await.unwrap();
        }
    };
    let back = async { drop(tokio::io::copy(&mut from_server, &mut to_client).await) };
    tokio::select! {
        () = forth => {}
        () = back => {}
    }
}

fn environment(certificates: &Certificates, port: u16) -> Vec<(&'static str, String)> {
    vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("https://localhost:{port}")),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", certificates.file("ca.pem")),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", certificates.file("client.pem")),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", certificates.file("client.key")),
        ("OTEL_EXPORTER_OTLP_HEADERS", format!("{HEADER}={SECRET}")),
    ]
}

async fn export(environment: Vec<(&'static str, String)>) -> String {
    let output = tokio::task::spawn_blocking(move || exported(&environment)).await.unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!shown.contains(SECRET) && !shown.contains("PRIVATE KEY"), "{shown}");
    shown
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_behind_tls_gets_everything_over_http() {
    let Some(mut tap) = Tap::start() else { return };
    let certificates = Certificates::made(b"http/1.1");
    let (port, seen) = proxy(&certificates.server, tap.port()).await;
    export(environment(&certificates, port)).await;
    tokio::task::block_in_place(|| assert_arrives(&mut tap));
    let seen = String::from_utf8_lossy(&seen.lock().unwrap()).into_owned();
    let calls = ["/v1/traces", "/v1/metrics", "/v1/logs"].map(|path| seen.matches(&format!("POST {path} ")).count());
    assert!(calls.iter().all(|calls| *calls > 0), "{calls:?}");
    let headers = seen.matches(&format!("{HEADER}: {SECRET}\r\n")).count();
    assert_eq!(headers, calls.iter().sum::<usize>(), "each call has the header");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_behind_tls_gets_everything_over_grpc() {
    let Some(mut rotel) = Rotel::start() else { return };
    let certificates = Certificates::made(b"h2");
    let (port, _) = proxy(&certificates.server, rotel.port()).await;
    let mut environment = environment(&certificates, port);
    environment.push(("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc".to_owned()));
    export(environment).await;
    tokio::task::block_in_place(|| assert_arrives(&mut rotel));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_go_with_every_call_over_grpc_behind_tls() {
    let (endpoint, mut told) = headers::receiver().await;
    let (_, to) = endpoint.rsplit_once(':').unwrap();
    let certificates = Certificates::made(b"h2");
    let (port, _) = proxy(&certificates.server, to.parse().unwrap()).await;
    let mut environment = environment(&certificates, port);
    environment.push(("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc".to_owned()));
    let shown = export(environment).await;
    assert!(shown.contains("\nexported\n"), "{shown}");
    headers::assert_told(&mut told, SECRET);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_the_system_trusts_gets_everything_without_a_certificate_that_is_named() {
    for (protocol, alpn) in [("http/protobuf", &b"http/1.1"[..]), ("grpc", b"h2")] {
        let Some(mut rotel) = Rotel::start() else { return };
        let certificates = Certificates::made(alpn);
        let to = if protocol == "grpc" { rotel.port() } else { rotel.http_port() };
        let (port, seen) = proxy(&certificates.server, to).await;
        let mut environment = environment(&certificates, port);
        environment.retain(|(name, _)| *name != "OTEL_EXPORTER_OTLP_CERTIFICATE");
        environment.push(("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()));
        // In place of the system's own.
        environment.push(("SSL_CERT_FILE", certificates.file("ca.pem")));
        let shown = export(environment).await;
        assert!(shown.contains("\nexported\n"), "{protocol}: {shown}");
        tokio::task::block_in_place(|| assert_arrives(&mut rotel));
        assert_ne!(seen.lock().unwrap().len(), 0, "{protocol}");
    }
}

/// Not to `oteltap`, which takes nothing that is compressed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_compressed_arrives() {
    for (protocol, alpn) in [("http/protobuf", &b"http/1.1"[..]), ("grpc", b"h2")] {
        let Some(mut rotel) = Rotel::start() else { return };
        let certificates = Certificates::made(alpn);
        let to = if protocol == "grpc" { rotel.port() } else { rotel.http_port() };
        let (port, seen) = proxy(&certificates.server, to).await;
        let mut environment = environment(&certificates, port);
        environment.push(("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()));
        environment.push(("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip".to_owned()));
        export(environment).await;
        tokio::task::block_in_place(|| assert_arrives(&mut rotel));
        // So begins what is in gzip's format, and deflated: RFC 1952, section 2.3.1.
        let compressed = seen.lock().unwrap().windows(3).filter(|bytes| *bytes == [0x1f, 0x8b, 8]).count();
        assert!(compressed >= 3, "{protocol}: spans, metrics and log records are compressed, not {compressed} of them");
    }
}

/// One whose certificate nobody vouches for, and one that is shown none of ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_to_strangers_nor_without_a_certificate() {
    for protocol in ["http/protobuf", "grpc"] {
        let certificates = Certificates::made(if protocol == "grpc" { b"h2" } else { b"http/1.1" });
        let (port, seen) = proxy(&certificates.server, 9).await;
        for missing in ["OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_"] {
            let mut environment = environment(&certificates, port);
            environment.retain(|(name, _)| !name.starts_with(missing));
            environment.push(("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()));
            environment.push(("OTEL_EXPORTER_OTLP_TIMEOUT", "1000".to_owned()));
            let shown = export(environment).await;
            assert!(shown.contains("\nnot exported"), "{protocol} without {missing}: {shown}");
        }
        assert_eq!(seen.lock().unwrap().len(), 0, "{protocol}");
    }
}
