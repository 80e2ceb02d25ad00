//! A network that loses answers, or lets nobody in: a proxy on the loopback interface between a client and a server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// The proxy. Its connections end with the runtime.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    plan: Arc<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    /// Whether whoever comes is sent away.
    refuses: AtomicBool,
    refused: AtomicUsize,
    /// Whether answers are lost at all.
    loses: AtomicBool,
    /// One answer of so many is lost, counted over all connections.
    one_of: usize,
    answers: AtomicUsize,
    lost: AtomicUsize,
    asked: AtomicUsize,
}

impl Proxy {
    /// A proxy before a server, which begins to lose one answer of so many when it is told to.
    ///
    /// # Panics
    /// No port is free.
    pub async fn before(server: SocketAddr, one_of: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its number");
        let plan = Arc::new(Plan { one_of, ..Plan::default() });
        let shared = Arc::clone(&plan);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if shared.refuses.load(Ordering::SeqCst) {
                    shared.refused.fetch_add(1, Ordering::SeqCst);
                    continue;
                }
                let Ok(server) = TcpStream::connect(server).await else { continue };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(forward(from_client, to_server, Arc::clone(&shared)));
                tokio::spawn(answer(from_server, to_client, Arc::clone(&shared)));
            }
        });
        Self { address, plan }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins, or ends, to lose answers.
    pub fn lose(&self, loses: bool) {
        self.plan.loses.store(loses, Ordering::SeqCst);
    }

    /// Ends every connection that is made from now on, at once; those that there are stay.
    pub fn refuse(&self) {
        self.plan.refuses.store(true, Ordering::SeqCst);
    }

    /// How many connections were refused.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.plan.refused.load(Ordering::SeqCst)
    }

    /// How many answers were lost.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.plan.lost.load(Ordering::SeqCst)
    }

    /// How often clients have sent something, which of those that wait for each answer is how often they asked.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.plan.asked.load(Ordering::SeqCst)
    }
}

/// Hands on what a client asks, all of it.
async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, plan: Arc<Plan>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        plan.asked.fetch_add(1, Ordering::SeqCst);
        if to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

/// Hands on what a server answers, or loses it with the connection: the server has done what it was asked, and the
/// client never learns of it.
async fn answer(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, plan: Arc<Plan>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length) = from.read(&mut buffer).await {
        if length == 0 {
            break;
        }
        if plan.loses.load(Ordering::SeqCst) {
            let number = plan.answers.fetch_add(1, Ordering::SeqCst);
            if number % plan.one_of == plan.one_of - 1 {
                plan.lost.fetch_add(1, Ordering::SeqCst);
                break;
            }
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
