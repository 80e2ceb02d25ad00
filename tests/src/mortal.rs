//! Programs that are killed: a test starts itself again, as a child whose last words it hears.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use uuid::Uuid;

use crate::alone::alone;

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
