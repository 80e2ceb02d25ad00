//! Peers that are programs of their own, since they are written in another language, or since their dependencies and
//! ours cannot be in one program. They say `ready`, and answer each line that they are asked with how many operations
//! that was and how many nanoseconds they took.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// The sources of the programs.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");

/// The variable that names a Python with the packages of `peers/python/requirements.txt`.
const PYTHON: &str = "EVENTSOURCE_PY";

/// A program, which waits to be asked. It ends when this is dropped.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    asked: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts a program, and waits until it is ready.
    ///
    /// # Errors
    /// It cannot be started, or ends before it is ready; it has told why on standard error then.
    pub fn start(program: &mut Command) -> io::Result<Self> {
        let spawned = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child =
            spawned.map_err(|error| io::Error::other(format!("{}: {error}", program.get_program().display())))?;
        let (asked, answers) = (child.stdin.take(), child.stdout.take());
        let answers = BufReader::new(answers.ok_or_else(|| io::Error::other("it says nothing"))?);
        let mut peer = Self { child, asked, answers };
        match peer.line()?.as_str() {
            "ready" => Ok(peer),
            _ => Err(io::Error::other("it ended before it was ready, see above")),
        }
    }

    /// How many operations it made of the question, and how long they took.
    ///
    /// # Panics
    /// It has ended.
    pub fn ask(&mut self, question: &str) -> (u64, Duration) {
        let asked = self.asked.as_mut().expect("it listens until it is dropped");
        writeln!(asked, "{question}").expect("it listens");
        let answer = self.line().expect("it answers");
        let (count, nanos) = answer.split_once(' ').expect("two numbers");
        (count.parse().expect("a number"), Duration::from_nanos(nanos.parse().expect("a number")))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends when nobody can ask any more.
        self.asked.take();
        let _ = self.child.wait();
    }
}

/// Builds a program of the package `peers` in a folder, which takes minutes the first time.
///
/// # Errors
/// It cannot be built; the compiler has told why on standard error then.
pub fn built(name: &str, folder: &Path) -> io::Result<Command> {
    let target = folder.join("peers");
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--locked", "--quiet", "--manifest-path", &format!("{SOURCES}/Cargo.toml")])
        .args(["--bin", name, "--target-dir"])
        .arg(&target)
        .status()?;
    if built.success() {
        Ok(Command::new(target.join("release").join(name)))
    } else {
        Err(io::Error::other("it cannot be built, see above"))
    }
}

/// A program of `peers/python`, by the Python that the environment names or by one with the packages in a folder.
///
/// # Errors
/// The packages cannot be installed.
pub fn python(script: &str, folder: &Path) -> io::Result<Command> {
    let python = match std::env::var_os(PYTHON) {
        Some(python) => python.into(),
        None => installed(&folder.join("eventsource-py"))?,
    };
    let mut program = Command::new(python);
    program.arg(format!("{SOURCES}/python/{script}"));
    Ok(program)
}

/// An environment with the packages, which is kept: where all of them are there already, no registry is asked.
fn installed(folder: &Path) -> io::Result<PathBuf> {
    let python = folder.join("bin/python");
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", "--requirement"];
    // Without the package of Debian's that brings pip, an environment is made all the same, and is of no use.
    let made = folder.join("bin/pip").exists() || succeeds(Command::new("python3").args(["-m", "venv"]).arg(folder));
    let requirements = format!("{SOURCES}/python/requirements.txt");
    if made && succeeds(Command::new(&python).args(install).arg(requirements)) {
        return Ok(python);
    }
    let why = format!("its packages cannot be installed, see above; set {PYTHON} to a Python that has them");
    Err(io::Error::other(why))
}

fn succeeds(program: &mut Command) -> bool {
    let status = program.status().inspect_err(|error| eprintln!("{}: {error}", program.get_program().display()));
    status.is_ok_and(|status| status.success())
}
