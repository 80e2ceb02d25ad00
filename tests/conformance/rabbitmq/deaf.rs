//! A member of which the broker forgets that it consumes, and does not tell it.

use std::io;

use eventsource_runtime::bus::{RabbitMqBus, RabbitMqOptions};
use eventsource_runtime::store::StreamId;
use eventsource_runtime::testing;
use eventsource_tests::logged::Log;
use eventsource_tests::services;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use super::faults::delete_queue;
use super::open;
use crate::messages::{collecting_as, in_time, message, ordinal};

/// The type of a frame with a method, and the method with which a broker ends a consumer.
const METHOD: u8 = 1;
const BASIC_CANCEL: [u8; 4] = [0, 60, 0, 30];

/// A url through which no client learns that the broker has ended its consumer.
async fn hiding(url: &str) -> String {
    let (_, server) = url.rsplit_once('@').expect("an account");
    let server = server.split('/').next().unwrap().to_owned();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let through = url.replacen(&server, &listener.local_addr().unwrap().to_string(), 1);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (from_server, mut to_server) = TcpStream::connect(&server).await.unwrap().into_split();
            let (mut from_client, to_client) = client.into_split();
            tokio::spawn(async move { copy(&mut from_client, &mut to_server).await });
            tokio::spawn(hide(from_server, to_client));
        }
    });
    through
}

async fn hide(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    loop {
        let mut frame = vec![0; 7];
        from.read_exact(&mut frame).await?;
        let size = u32::from_be_bytes([frame[3], frame[4], frame[5], frame[6]]);
        // The last byte ends the frame.
        frame.resize(7 + size as usize + 1, 0);
        from.read_exact(&mut frame[7..]).await?;
        if frame[0] != METHOD || !frame[7..].starts_with(&BASIC_CANCEL) {
            to.write_all(&frame).await?;
        }
    }
}

/// It heard nothing any more, and nobody else did.
fn hears_again(has_heard: bool, group: &'static str) {
    testing::run(async {
        let log = Log::of_process();
        let name = format!("eventsource-tests-{}", Uuid::now_v7());
        let url = hiding(&services::rabbitmq()).await;
        let bus = RabbitMqBus::connect(&url, RabbitMqOptions::new(&name)).await.unwrap();
        let (running, mut seen) = collecting_as(&bus, group).await;
        let stream = StreamId::new("Order", 1);
        if has_heard {
            bus.publish(message(&stream, 0)).await.unwrap();
            in_time(seen.recv()).await.unwrap();
        }
        delete_queue(&format!("{name}.{group}")).await;
        // Somebody declares it anew.
        let other = open(RabbitMqOptions::new(&name)).await;
        other.subscribe(group).handle(async |_| Ok(())).await.unwrap().shutdown().await.unwrap();
        bus.publish(message(&stream, 1)).await.unwrap();
        assert_eq!(ordinal(&in_time(seen.recv()).await.unwrap()), 1);
        in_time(log.hears_of("eventsource.bus.rabbitmq.deaf", "messaging.consumer.group.name", group)).await;
        running.shutdown().await.unwrap();
    });
}

#[test]
fn a_member_that_the_broker_has_forgotten_consumes_anew() {
    hears_again(true, "forgotten");
}

#[test]
fn a_member_that_the_broker_has_forgotten_before_its_first_message_consumes_anew() {
    hears_again(false, "forgotten_at_once");
}
