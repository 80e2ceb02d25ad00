//! A network that fails when it is told to.

use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, MutexGuard, Notify};
use tokio::task::JoinHandle;

/// Passes connections on to a server, until they are cut.
#[derive(Debug)]
pub struct Network {
    faults: Arc<Faults>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Faults {
    cut: Notify,
    silent: Notify,
    held_back: Mutex<()>,
}

impl Network {
    /// A network before the server of a url, and the url that leads through it.
    ///
    /// # Panics
    /// If the url names no host and port, or the machine has no port left.
    pub async fn before(url: &str) -> (Self, String) {
        let (_, after) = url.rsplit_once('@').or_else(|| url.split_once("://")).expect("a url");
        let server = after.split('/').next().expect("a host and a port").to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let through = url.replacen(&server, &address, 1);
        let faults = Arc::<Faults>::default();
        let accepting = tokio::spawn(accept(listener, server, Arc::clone(&faults)));
        (Self { faults, accepting }, through)
    }

    /// Cuts every connection, in the middle of whatever is on its way.
    pub fn cut(&self) {
        self.faults.cut.notify_waiters();
    }

    /// Passes nothing on any more over the connections that there are: they stand until they are cut.
    pub fn fall_silent(&self) {
        self.faults.silent.notify_waiters();
    }

    /// Lets new connections wait until this is dropped.
    pub async fn hold_back(&self) -> MutexGuard<'_, ()> {
        self.faults.held_back.lock().await
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: String, faults: Arc<Faults>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let (server, faults) = (server.clone(), Arc::clone(&faults));
        tokio::spawn(async move {
            let (mut cut, silent) = (std::pin::pin!(faults.cut.notified()), faults.silent.notified());
            drop(faults.held_back.lock().await);
            let Ok(mut upstream) = TcpStream::connect(&server).await else { return };
            let is_silent = tokio::select! {
                () = cut.as_mut() => false,
                () = silent => true,
                _ = copy_bidirectional(&mut client, &mut upstream) => false,
            };
            if is_silent {
                cut.await;
            }
        });
    }
}
