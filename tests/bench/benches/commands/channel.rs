//! The floor of an async store: the raw statements on one thread behind a channel. A command sends two messages, since
//! what it decides between them may be async: one that loads, one that appends.

use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;

use eventsource_bench::orders::{AnyCommand, COMMANDS, Order, OrderEvent};
use eventsource_bench::raw;
use tokio::sync::oneshot;
use uuid::Uuid;

enum Message {
    Load(String, oneshot::Sender<(Order, i64)>),
    Append(String, i64, OrderEvent, oneshot::Sender<i64>),
}

/// The thread and its channel.
pub(crate) struct Channel {
    ask: mpsc::Sender<Message>,
    thread: JoinHandle<()>,
}

impl Channel {
    pub(crate) fn open(path: &Path, synchronous: &str) -> Self {
        let connection = raw::open(path, synchronous);
        let (ask, asked) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            for message in asked {
                match message {
                    Message::Load(stream, reply) => {
                        let _ = reply.send(raw::load(&connection, &stream).expect("SQLite reads"));
                    }
                    Message::Append(stream, version, event, reply) => {
                        let version = raw::append(&connection, &stream, version, &event);
                        let _ = reply.send(version.expect("SQLite writes"));
                    }
                }
            }
        });
        Self { ask, thread }
    }

    pub(crate) async fn handle_all(&self, orders: &[Uuid]) {
        for ordinal in 0..COMMANDS {
            for &order in orders {
                self.handle(order, AnyCommand::nth(ordinal)).await;
            }
        }
    }

    async fn handle(&self, order: Uuid, command: AnyCommand) {
        let stream = raw::stream(order);
        let (reply, answer) = oneshot::channel();
        self.ask.send(Message::Load(stream.clone(), reply)).expect("the thread runs");
        let (order, version) = answer.await.expect("the thread answers");
        let event = command.decide(&order).expect("the commands come in order");
        let (reply, answer) = oneshot::channel();
        self.ask.send(Message::Append(stream, version, event, reply)).expect("the thread runs");
        answer.await.expect("the thread answers");
    }

    pub(crate) fn close(self) {
        drop(self.ask);
        self.thread.join().expect("the thread does not panic");
    }
}
