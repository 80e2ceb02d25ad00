//! The benchmark `calls`: starts a process for each variant and asks them in turns.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use super::{Aim, AtMost, Shape, VARIANTS, Variant};
use crate::sample::Samples;
use crate::table::{Table, number, verdict};

/// How often each variant is timed.
const ROUNDS: usize = 51;
/// How many calls callgrind counts.
const COUNTED: u32 = 10_000;

/// The programs that run a variant.
#[derive(Clone, Copy, Debug)]
pub struct Programs<'a> {
    /// The one that is timed and counted.
    pub worker: &'a Path,
    /// The one that counts its allocations.
    pub allocations: &'a Path,
}

/// What is known of a variant after the runs.
struct Measured {
    nanoseconds: Samples,
    allocations: (u64, u64),
    instructions: Option<f64>,
}

/// Measures and prints both tables.
///
/// # Errors
/// A program could not be started, or ended early; or a variant that is switched off costs more than it may.
pub fn run(programs: Programs<'_>, instructions: bool) -> io::Result<()> {
    let instructions = instructions && valgrind_is_there();
    let mut dear = Vec::new();
    for shape in [Shape::Sync, Shape::Async] {
        let measured = measure(programs, shape, instructions)?;
        println!("\n{} call\n", shape.name());
        print(shape, &measured);
        dear.extend(too_dear(shape, &measured));
    }
    if dear.is_empty() { Ok(()) } else { Err(io::Error::other(dear.join("; "))) }
}

fn valgrind_is_there() -> bool {
    let found = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !found {
        println!("valgrind is not installed: no instructions are counted");
    }
    found
}

fn measure(programs: Programs<'_>, shape: Shape, instructions: bool) -> io::Result<HashMap<&'static str, Measured>> {
    let mut workers = VARIANTS
        .iter()
        .map(|variant| Worker::start(programs.worker, variant, shape))
        .collect::<io::Result<Vec<_>>>()?;
    let mut nanoseconds = vec![Samples::default(); workers.len()];
    for _ in 0..ROUNDS {
        for (worker, samples) in workers.iter_mut().zip(&mut nanoseconds) {
            samples.push(worker.sample()?);
        }
    }
    drop(workers);
    let counted = if instructions { count_all(programs.worker, shape)? } else { vec![None; VARIANTS.len()] };
    let mut measured = HashMap::new();
    for ((variant, nanoseconds), instructions) in VARIANTS.iter().zip(nanoseconds).zip(counted) {
        let allocations = allocations(programs.allocations, variant, shape)?;
        measured.insert(variant.key, Measured { nanoseconds, allocations, instructions });
    }
    Ok(measured)
}

fn print(shape: Shape, measured: &HashMap<&'static str, Measured>) {
    let mut table = Table::new(&["variant", "ns", "min–max", "÷ peer", "instructions", "allocations", "bytes", "aim"]);
    let bare = measured["bare"].instructions;
    for variant in VARIANTS {
        let Measured { nanoseconds, allocations, instructions } = &measured[variant.key];
        let (least, most) = nanoseconds.range();
        let ratio = variant.against.map(|peer| nanoseconds.ratio(&measured[peer].nanoseconds));
        table.row([
            variant.title.to_owned(),
            number(nanoseconds.median()),
            format!("{}–{}", number(least), number(most)),
            ratio.map_or(String::new(), |ratio| format!("{ratio:.2}")),
            instructions.map_or("–".to_owned(), |instructions| format!("{instructions:.1}")),
            allocations.0.to_string(),
            allocations.1.to_string(),
            variant.aim.map_or(String::new(), |aim| judged(aim, shape, bare, *instructions, allocations.0)),
        ]);
    }
    table.print();
}

/// The variants that cost more than they may.
fn too_dear(shape: Shape, measured: &HashMap<&'static str, Measured>) -> Vec<String> {
    let limited = VARIANTS.iter().filter_map(|variant| Some((variant, variant.at_most?)));
    let dear = limited.filter_map(|(variant, AtMost { over, sync, future })| {
        let (this, bare) = (&measured[variant.key], &measured[over]);
        let at_most = if shape == Shape::Sync { sync } else { future };
        let costs = this.instructions.zip(bare.instructions).map_or(0.0, |(this, bare)| this - bare);
        let allocates = this.allocations.0.saturating_sub(bare.allocations.0);
        let is_dear = costs > at_most || allocates > 0;
        is_dear.then(|| {
            let what = format!("{costs:.1} instructions and {allocates} allocations more than `{over}`");
            format!("`{}` ({}) costs {what}, and {at_most} and 0 at most", variant.key, shape.name())
        })
    });
    dear.collect()
}

fn judged(aim: Aim, shape: Shape, bare: Option<f64>, instructions: Option<f64>, allocations: u64) -> String {
    let (text, most, allowed) = match (aim, shape) {
        (Aim::AtMost(most, allowed), _) => (format!("≤ {most}, ≤ {allowed} allocations"), Some(most), allowed),
        (Aim::OverBare { sync: more, .. }, Shape::Sync) | (Aim::OverBare { future: more, .. }, Shape::Async) => {
            (format!("≤ bare + {more}, no allocation"), bare.map(|bare| bare + more), 0)
        }
    };
    // The calls of the loop itself and of the counted function come to less than a tenth of an instruction.
    match instructions.zip(most) {
        Some((counted, most)) => format!("{text}: {}", verdict(counted < most + 0.1 && allocations <= allowed)),
        None if allocations <= allowed => format!("{text}: not counted"),
        None => format!("{text}: {}", verdict(false)),
    }
}

fn command(program: impl AsRef<OsStr>, variant: &Variant) -> Command {
    let mut command = Command::new(program);
    command.env_remove("OTEL_SDK_DISABLED").env_remove("OTEL_TRACES_SAMPLER");
    command.envs(variant.environment.iter().copied());
    command
}

/// A process that takes samples of one variant.
struct Worker {
    child: Child,
    ask: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    fn start(program: &Path, variant: &Variant, shape: Shape) -> io::Result<Self> {
        let mut child = command(program, variant)
            .args([variant.key, shape.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let ask = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("piped"));
        Ok(Self { child, ask, answers })
    }

    fn sample(&mut self) -> io::Result<f64> {
        writeln!(self.ask.as_mut().expect("taken in drop alone"))?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        answer.trim().parse().map_err(|_| io::Error::other("a worker ended early"))
    }
}

/// Without an input the process ends.
impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.ask.take());
        let _ = self.child.wait();
    }
}

fn allocations(program: &Path, variant: &Variant, shape: Shape) -> io::Result<(u64, u64)> {
    let output = command(program, variant).args([variant.key, shape.name()]).stderr(Stdio::inherit()).output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let mut numbers = printed.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(allocations)), Some(Ok(bytes))) => Ok((allocations, bytes)),
        _ => Err(io::Error::other(format!("`{}` counted no allocations", variant.key))),
    }
}

/// Instructions a call, of each variant; two at a time, since counts do not suffer from neighbours.
fn count_all(program: &Path, shape: Shape) -> io::Result<Vec<Option<f64>>> {
    let half = VARIANTS.len() / 2;
    let count = |variants: &[Variant]| -> io::Result<Vec<Option<f64>>> {
        variants.iter().map(|variant| count(program, variant, shape).map(Some)).collect()
    };
    thread::scope(|scope| {
        let second = scope.spawn(|| count(&VARIANTS[half..]));
        let mut counted = count(&VARIANTS[..half])?;
        counted.extend(second.join().expect("the counting does not panic")?);
        Ok(counted)
    })
}

/// What callgrind collects on the calling thread, within the function of the worker that makes the calls.
fn count(program: &Path, variant: &Variant, shape: Shape) -> io::Result<f64> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("callgrind");
    let output = command("valgrind", variant)
        .args(["--tool=callgrind", "--separate-threads=yes", "--toggle-collect=*calls::worker::counted*"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(program)
        .args([variant.key, shape.name(), "--count", &COUNTED.to_string()])
        .output()?;
    let first_thread = file.with_file_name("callgrind-01");
    let profile = std::fs::read_to_string(if first_thread.exists() { first_thread } else { file }).unwrap_or_default();
    let total = profile.lines().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    let total: Option<f64> = total.and_then(|total| total.trim().parse().ok());
    total.map(|total| total / f64::from(COUNTED)).ok_or_else(|| {
        io::Error::other(format!("valgrind failed on `{}`: {}", variant.key, String::from_utf8_lossy(&output.stderr)))
    })
}
