//! postgres-es, in a process of its own: its dependencies and ours cannot be in one program.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// The program, which waits to be asked. It ends when this is dropped.
pub(crate) struct Peer {
    child: Child,
    asked: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Builds it, which takes minutes the first time, and starts it.
    pub(crate) fn start(address: &str) -> io::Result<Self> {
        let (bench, target) = (Path::new(env!("CARGO_MANIFEST_DIR")), Path::new(env!("CARGO_TARGET_TMPDIR")));
        let target = target.join("peers");
        let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--release", "--locked", "--quiet", "--manifest-path"])
            .arg(bench.join("peers/Cargo.toml"))
            .arg("--target-dir")
            .arg(&target)
            .status()?;
        if !built.success() {
            return Err(io::Error::other("it cannot be built"));
        }
        let mut child = Command::new(target.join("release/eventsource-bench-peers"))
            .arg(address)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (asked, answers) = (child.stdin.take(), child.stdout.take());
        let answers = BufReader::new(answers.ok_or_else(|| io::Error::other("it says nothing"))?);
        Ok(Self { child, asked, answers })
    }

    /// Has so many orders get their commands by so many tasks.
    pub(crate) fn handle(&mut self, tasks: usize, orders: usize) -> (u64, Duration) {
        let asked = self.asked.as_mut().expect("it listens until it is dropped");
        writeln!(asked, "{tasks} {orders}").expect("it listens");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("it answers");
        let (count, nanos) = answer.trim().split_once(' ').expect("two numbers");
        (count.parse().expect("a number"), Duration::from_nanos(nanos.parse().expect("a number")))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends when nobody can ask any more.
        self.asked.take();
        let _ = self.child.wait();
    }
}
