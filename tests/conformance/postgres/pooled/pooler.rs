//! A pooler, which lends the server's connections to its clients.

use std::collections::VecDeque;
use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::messages::until;

/// For how long a client has a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Lends {
    Sessions,
    /// And lends the connection first that was given back last.
    Transactions,
    /// And lends its connections in turn.
    TransactionsInTurn,
}

/// The pooler. It ends with the runtime.
pub(super) struct Pooler {
    server: String,
    lends: Lends,
    /// Connections with what the server said when they were made.
    idle: Mutex<VecDeque<(Wire, Vec<u8>)>>,
    opened: AtomicUsize,
    clients: AtomicUsize,
}

impl Pooler {
    /// A pooler before the server of a url, and the url that leads through it.
    pub(super) async fn before(url: &str, lends: Lends) -> (Arc<Self>, String) {
        let server = url.split_once('@').unwrap().1.split('/').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let through = url.replacen(&server, &listener.local_addr().unwrap().to_string(), 1);
        let (idle, opened, clients) = (Mutex::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        let pooler = Arc::new(Self { server, lends, idle, opened, clients });
        let accepting = Arc::clone(&pooler);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let pooler = Arc::clone(&accepting);
                pooler.clients.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    // Where it fails the connection to the server goes as well.
                    let _ = pooler.serve(Wire::new(client)).await;
                    pooler.clients.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        (pooler, through)
    }

    /// Waits until every client has gone; how many connections to the server were made so far.
    pub(super) async fn all_given_back(&self) -> usize {
        until(async || self.clients.load(Ordering::SeqCst) == 0).await;
        self.opened.load(Ordering::SeqCst)
    }

    async fn serve(&self, mut client: Wire) -> Result<(), Error> {
        let startup = client.next(0).await?;
        let (server, greeting) = self.lend(&startup).await?;
        // It is given back before its client knows, who may ask for another one at once.
        self.idle.lock().unwrap().push_back((server, greeting.clone()));
        client.send(&greeting).await?;
        loop {
            let asked = client.next(1).await?;
            let (mut server, greeting) = self.lend(&startup).await?;
            let last = self.hand_on(&mut client, &mut server, asked).await?;
            self.idle.lock().unwrap().push_back((server, greeting));
            let Some(last) = last else { return Ok(()) };
            client.send(&last).await?;
        }
    }

    fn idle(&self) -> Option<(Wire, Vec<u8>)> {
        let mut idle = self.idle.lock().unwrap();
        if self.lends == Lends::TransactionsInTurn { idle.pop_front() } else { idle.pop_back() }
    }

    async fn lend(&self, startup: &[u8]) -> Result<(Wire, Vec<u8>), Error> {
        if let Some(idle) = self.idle() {
            return Ok(idle);
        }
        let mut server = Wire::new(TcpStream::connect(&self.server).await?);
        server.send(startup).await?;
        let greeting = server.until_ready().await?;
        self.opened.fetch_add(1, Ordering::SeqCst);
        Ok((server, greeting))
    }

    /// Hands on what is asked and answered until the connection is free, but for the last answer; there is none where
    /// the client has left.
    async fn hand_on(&self, client: &mut Wire, server: &mut Wire, first: Vec<u8>) -> Result<Option<Vec<u8>>, Error> {
        let (mut asked, mut unanswered) = (Some(first), 0);
        loop {
            match asked.take() {
                Some(message) if message[0] == b'X' => {
                    // What was set, prepared, locked and listened to. In a transaction it is refused.
                    server.send(b"Q\0\0\0\x10DISCARD ALL\0").await?;
                    for _ in 0..unanswered {
                        server.until_ready().await?;
                    }
                    let is_free = server.until_ready().await?.last() == Some(&b'I');
                    return if is_free { Ok(None) } else { Err(ErrorKind::ConnectionAborted.into()) };
                }
                Some(message) => {
                    unanswered += usize::from(matches!(message[0], b'Q' | b'S'));
                    server.send(&message).await?;
                }
                None => {}
            }
            tokio::select! {
                message = client.next(1) => asked = Some(message?),
                message = server.next(1) => {
                    let message = message?;
                    unanswered -= usize::from(message[0] == b'Z');
                    let is_free = unanswered == 0 && message == *b"Z\0\0\0\x05I";
                    if is_free && self.lends != Lends::Sessions {
                        return Ok(Some(message));
                    }
                    client.send(&message).await?;
                }
            }
        }
    }
}

/// One end of a connection: messages with their length, behind a letter but for the one that begins it.
struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Wire {
    fn new(stream: TcpStream) -> Self {
        Self { stream, read: Vec::new() }
    }

    /// The next message, with so many letters before its length. Dropped in the middle, it loses nothing.
    async fn next(&mut self, letters: usize) -> Result<Vec<u8>, Error> {
        loop {
            if let Some(length) = self.read.get(letters..).and_then(|read| read.first_chunk()) {
                let end = letters + usize::try_from(u32::from_be_bytes(*length)).map_err(Error::other)?;
                if self.read.len() >= end {
                    return Ok(self.read.drain(..end).collect());
                }
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// What the server says until it waits to be asked.
    async fn until_ready(&mut self) -> Result<Vec<u8>, Error> {
        let mut said = Vec::new();
        while said.last_chunk().is_none_or(|last: &[u8; 6]| !last.starts_with(b"Z\0\0\0\x05")) {
            said.extend(self.next(1).await?);
        }
        Ok(said)
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        self.stream.write_all(message).await
    }
}
