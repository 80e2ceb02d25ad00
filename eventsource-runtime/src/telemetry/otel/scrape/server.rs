//! A server that knows one path.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Scrape;
use crate::telemetry::guarded;

/// How long one request may take to arrive, and its answer to be sent.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much of a request is read.
const MOST_BYTES: u64 = 8192;
/// How long to pause after a connection could not be accepted, or while all threads are taken.
const PAUSE: Duration = Duration::from_millis(50);
/// How many requests are answered at a time; further ones wait.
pub(super) const MOST_AT_ONCE: usize = 8;

/// Answers scrapes until it is dropped.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct ScrapeServer {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ScrapeServer {
    pub(super) fn start(scrape: Scrape, address: impl ToSocketAddrs) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let ended = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&ended);
        let serve = move || {
            let turns = Arc::new(());
            let answer = |connection| answer_aside(&scrape, connection, &turns, &theirs);
            answer_all(listener.incoming(), &theirs, answer, || thread::sleep(PAUSE));
        };
        let thread = named_thread().spawn(serve)?;
        Ok(Self { address, ended, thread: Some(thread) })
    }

    /// The address that it listens on, with the actual port if it asked for any.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn named_thread() -> thread::Builder {
    thread::Builder::new().name("eventsource-scrape".into())
}

/// Takes one connection after the other until it has ended.
pub(super) fn answer_all<C>(
    connections: impl Iterator<Item = io::Result<C>>,
    ended: &AtomicBool,
    answer: impl Fn(C),
    pause: impl Fn(),
) {
    for connection in connections {
        if ended.load(Ordering::Acquire) {
            return;
        }
        match connection {
            Ok(connection) => answer(connection),
            // If no file descriptor is left, the next one fails at once as well.
            Err(_) => pause(),
        }
    }
}

/// Answers on another thread, so that a client that sends nothing keeps neither others waiting nor the server's end.
fn answer_aside(scrape: &Scrape, connection: TcpStream, turns: &Arc<()>, ended: &AtomicBool) {
    // One of the count is the server's own.
    while Arc::strong_count(turns) > MOST_AT_ONCE {
        if ended.load(Ordering::Acquire) {
            return;
        }
        thread::sleep(PAUSE);
    }
    let (scrape, turn) = (scrape.clone(), Arc::clone(turns));
    let answer = move || {
        // The client may have gone, or sent nonsense: the next one may not.
        let _ = answer(&scrape, &connection);
        drop(turn);
    };
    // Without a thread it is closed, and the client asks again.
    drop(named_thread().spawn(answer));
}

/// A connection with a deadline: a client that is slow, byte by byte, keeps its thread no longer than that.
struct Until<'a> {
    connection: &'a TcpStream,
    moment: Instant,
}

impl Until<'_> {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.moment.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Until<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.connection.set_read_timeout(self.left()?)?;
        self.connection.read(bytes)
    }
}

impl Write for Until<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.connection.set_write_timeout(self.left()?)?;
        self.connection.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.connection.flush()
    }
}

fn answer(scrape: &Scrape, connection: &TcpStream) -> io::Result<()> {
    let mut connection = Until { connection, moment: Instant::now() + PATIENCE };
    let mut lines = BufReader::new(Read::by_ref(&mut connection).take(MOST_BYTES));
    let mut request = String::new();
    lines.read_line(&mut request)?;
    // The rest is read, or the client would see its connection reset.
    let mut header = String::new();
    while lines.read_line(&mut header)? > 2 {
        header.clear();
    }
    let (method, target) = request.split_once(' ').unwrap_or_default();
    // Whatever is asked of it beyond its path.
    let path = target.split([' ', '?']).next().unwrap_or_default();
    let (status, body) = match (method, path) {
        // A panic in an instrument's callback, which is the user's, would end this thread.
        ("GET" | "HEAD", "/metrics") => match guarded(|| scrape.try_text()).flatten() {
            Some(text) => ("200 OK", text),
            None => ("500 Internal Server Error", "a callback of an instrument panicked\n".to_owned()),
        },
        ("GET" | "HEAD", _) => ("404 Not Found", "ask for /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "ask with GET\n".to_owned()),
    };
    let (kind, length) = (Scrape::CONTENT_TYPE, body.len());
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    connection.write_all(head.as_bytes())?;
    if method == "HEAD" { Ok(()) } else { connection.write_all(body.as_bytes()) }
}

impl Drop for ScrapeServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        // Wakes the thread; if that fails it ends with the next scrape, and is not waited for.
        let woken = TcpStream::connect_timeout(&reachable(self.address), PATIENCE).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            // A panic in it has been reported where it happened.
            let _ = thread.join();
        }
    }
}

/// Where a listener is reached from here: some systems connect to no address that stands for all of them.
pub(super) fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}
