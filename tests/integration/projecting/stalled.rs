//! Two processes, of which one is stopped beyond its lease.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use eventsource_tests::alone::alone;
use eventsource_tests::scratch::Scratch;

use super::anew::open;
use super::*;

/// Where the process finds its file.
const FILE: &str = "EVENTSOURCE_TESTS_STALLS";

struct Process(Child);

impl Process {
    fn start(file: &Path) -> Self {
        let child = alone("projecting::stalled::runs")
            .env(FILE, file)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut process = Self(child);
        let lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line.contains("the projection runs")));
        process
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Stops the process where it has no transaction open, which would hold up everybody else's.
    fn stop(&self, file: &Path) {
        let connection = rusqlite::Connection::open(file).unwrap();
        connection.busy_timeout(Duration::ZERO).unwrap();
        loop {
            self.signal("-STOP");
            if connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok() {
                return;
            }
            self.signal("-CONT");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_process_that_was_stopped_beyond_its_lease_changes_nothing_any_more() {
    let scratch = Scratch::new();
    let store = open(&scratch.file()).await;
    let stream = a_stream();
    cancel(&store, &stream, REASON, 1).await;
    let leader = Process::start(&scratch.file());
    leader.stop(&scratch.file());
    let next = runner(&store).projection(Tally::sound()).spawn();
    next.wait_for(cancel(&store, &stream, REASON, 1).await).await.unwrap();
    leader.signal("-CONT");
    // The process wakes up where it was, and tries to apply the same event.
    for _ in 0..20 {
        next.wait_for(cancel(&store, &stream, REASON, 1).await).await.unwrap();
    }
    next.shutdown().await.unwrap();
    // It was told that its lease is another's, and not that something is wrong: so it is the next to have it.
    let last = cancel(&store, &stream, REASON, 1).await;
    let whole = Partition::whole("Tally");
    let look = || Claim::new(Uuid::now_v7(), "nobody", Duration::from_secs(1)).given_up();
    while store.lease_projection(whole, look()).await.unwrap().checkpoint < last {
        tokio::task::yield_now().await;
    }
    assert_eq!(seen(&store).await, (1..=last.get()).collect::<Vec<_>>(), "each event once, in order");
}

/// Does its work only in the process that the test above starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs() {
    let Some(file) = std::env::var_os(FILE) else { return };
    let store = open(Path::new(&file)).await;
    let projections = runner(&store).projection(Tally::sound()).spawn();
    projections.wait_for(Position::new(1)).await.unwrap();
    println!("the projection runs");
    std::future::pending::<()>().await;
}
