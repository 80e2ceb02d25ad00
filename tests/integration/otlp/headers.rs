//! The headers that a vendor wants reach it, and nobody else.

use std::sync::Arc;

use bytes::Bytes;
use h2::server;
use http::{HeaderMap, HeaderValue, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::exported;
use super::receivers::Tap;

pub(super) const HEADER: &str = "x-honeycomb-team";
const SECRET: &str = "canary-5e1f";

/// The path of a call, and the header.
type Call = (String, Option<String>);

/// A receiver of gRPC that takes everything, and shows the path and the header of each call.
pub(super) async fn receiver() -> (String, UnboundedReceiver<Call>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, tell.clone()));
        }
    });
    (endpoint, told)
}

async fn answer(stream: TcpStream, tell: UnboundedSender<Call>) {
    let mut connection = server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let header = request.headers().get(HEADER).map(|value| value.to_str().unwrap().to_owned());
        let _ = tell.send((request.uri().path().to_owned(), header));
        tokio::spawn(async move {
            let mut body = request.into_body();
            while let Some(Ok(data)) = body.data().await {
                let _ = body.flow_control().release_capacity(data.len());
            }
            let response = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
            let mut stream = respond.send_response(response, false).unwrap();
            // A message of no length: everything was taken.
            stream.send_data(Bytes::from_static(&[0; 5]), false).unwrap();
            let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))]);
            stream.send_trailers(trailers).unwrap();
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_go_with_every_call_and_are_shown_nowhere() {
    let (endpoint, mut told) = receiver().await;
    let environment = Arc::new([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc".to_owned()),
        ("OTEL_EXPORTER_OTLP_HEADERS", format!("{HEADER}={SECRET}")),
    ]);
    let output = tokio::task::spawn_blocking(move || exported(&*environment)).await.unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(shown.contains("\nexported\n"), "{shown}");
    assert!(!shown.contains(SECRET), "{shown}");
    assert_told(&mut told, SECRET);
}

/// Each signal was sent, and each call had the header.
pub(super) fn assert_told(told: &mut UnboundedReceiver<Call>, secret: &str) {
    let mut calls = Vec::new();
    while let Ok(call) = told.try_recv() {
        calls.push(call);
    }
    for signal in ["trace.v1.TraceService", "metrics.v1.MetricsService", "logs.v1.LogsService"] {
        assert!(calls.iter().any(|(path, _)| path.contains(signal)), "{signal}: {calls:?}");
    }
    assert!(calls.iter().all(|(_, header)| header.as_deref() == Some(secret)), "{calls:?}");
}

/// What the tutorial tells to set is all that a receiver needs, but for its address.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_variables_of_the_tutorial_suffice() {
    let Some(tap) = Tap::start() else { return };
    let (grpc, mut told) = receiver().await;
    let page = include_str!("../../../eventsource-runtime/docs/tutorial.md");
    let commands: Vec<_> = page.lines().filter(|line| line.starts_with("OTEL_EXPORTER_OTLP_ENDPOINT=")).collect();
    assert_eq!(commands.len(), 3, "{commands:?}");
    for command in commands {
        let (variables, _) = command.split_once(" cargo run").unwrap();
        let mut environment: Vec<_> = variables
            .split(' ')
            .map(|set| set.split_once('=').unwrap())
            .map(|(name, value)| (name, value.to_owned()))
            .collect();
        let endpoint = if variables.contains("PROTOCOL=grpc") { grpc.clone() } else { tap.endpoint() };
        environment[0].1 = endpoint;
        let output = tokio::task::spawn_blocking(move || exported(&environment)).await.unwrap();
        let shown = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(shown.contains("\nexported\n") && !shown.contains("setting ignored"), "{command}: {shown}");
    }
    assert!(told.try_recv().is_ok(), "one of them was sent over gRPC");
}
