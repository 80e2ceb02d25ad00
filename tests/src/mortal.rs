//! Programs that are killed: a test starts itself again, as a child whose last words it hears.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Duration;

use eventsource_runtime::projection::Projections;
use eventsource_runtime::store::Position;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::alone::alone;

/// How many commit at once in a child.
const WRITERS: usize = 4;

/// Runs one test of this binary in a child with these variables, kills it after it has told so many ids, each in a line
/// of its own, and returns all that it has told.
///
/// # Panics
/// The child ends by itself.
#[must_use]
pub fn killed(test: &str, variables: &[(&str, &OsStr)], after: usize) -> Vec<Uuid> {
    let mut child = alone(test)
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a child starts");
    let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
    let (mut told, mut count) = (String::new(), 0);
    while count < after {
        assert!(output.read_line(&mut told).expect("lines of text") > 0, "the child ended by itself: {told}");
        count += usize::from(told.lines().last().is_some_and(|line| line.parse::<Uuid>().is_ok()));
    }
    // SIGKILL on Unix: nothing of the child runs after this.
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    output.read_to_string(&mut told).expect("lines of text");
    // The last line may have been cut by the kill.
    told.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')?.parse().ok()).collect()
}

/// What a child does until it is killed: writers commit something under one id after the other, and tell it, the first
/// of each when the projections have applied it.
///
/// # Panics
/// A projection or a writer has stopped, which ends the child.
pub async fn commit_for_ever<C, F>(projections: &Projections, commit: C)
where
    C: Fn(Uuid) -> F + Clone + Send + 'static,
    F: Future<Output = Position> + Send,
{
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (commit, progress) = (commit.clone(), projections.progress());
        writers.spawn(async move {
            let mut is_first = true;
            loop {
                let id = Uuid::now_v7();
                let position = commit(id).await;
                if is_first {
                    progress.wait_for_within(position, Duration::from_mins(5)).await.expect("it is applied");
                    is_first = false;
                }
                println!("{id}");
            }
        });
    }
    tokio::select! {
        stopped = projections.stopped() => panic!("{stopped}"),
        writer = writers.join_next() => panic!("{writer:?}"),
    }
}
