//! `cargo bench -p eventsource-bench --bench compile`: what the macros cost while compiling.

#![expect(clippy::format_collect, clippy::format_push_string, reason = "programs are written once, and read better so")]

mod crates;
mod sources;

use std::io;
use std::path::Path;

use crates::{Program, Workspace};
use eventsource_bench::sample::Samples;
use eventsource_bench::table::{Table, number, verdict};
use sources::{AGGREGATES, FUNCTIONS, HANDLERS, How};

const ROUNDS: usize = 5;

/// The most that ours may cost, of what `tracing::instrument` does.
const AIM: f64 = 0.5;

/// One kind of program, in every way that it can be instrumented.
struct Topic {
    what: &'static str,
    /// What the figures are divided by.
    items: f64,
    programs: Vec<Program>,
}

/// What was measured of a program.
struct Measured {
    expanded: f64,
    llvm: f64,
    /// Of the macros alone.
    expansion: Samples,
    build: Samples,
    /// Of all its futures.
    bytes: f64,
}

fn main() -> io::Result<()> {
    let topics = topics();
    let programs: Vec<&Program> = topics.iter().flat_map(|topic| &topic.programs).collect();
    let workspace = Workspace::new(Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile"), &programs)?;
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for topic in &topics {
        if wanted.is_empty() || wanted.contains(&topic.what.to_owned()) {
            topic.print(&topic.measure(&workspace)?);
        }
    }
    Ok(())
}

fn topics() -> [Topic; 3] {
    use How::{Bare, ByHand, Fastrace, Ours, Tracing};
    let all: &[How] = &[Bare, ByHand, Ours, Tracing, Fastrace];
    [
        Topic::new("functions", FUNCTIONS, all, sources::functions),
        Topic::new("handlers", HANDLERS, all, sources::handlers),
        // Nobody's macro but ours has to do with those.
        Topic::new("aggregates", AGGREGATES, &[Bare, ByHand, Ours], sources::aggregates),
    ]
}

impl Topic {
    fn new(what: &'static str, items: u32, hows: &[How], source: fn(How) -> String) -> Self {
        let programs = hows.iter().map(|&how| Program::new(what, how, source(how))).collect();
        Self { what, items: f64::from(items), programs }
    }

    fn measure(&self, workspace: &Workspace) -> io::Result<Vec<Measured>> {
        let mut measured = Vec::new();
        for program in &self.programs {
            measured.push(Measured {
                bytes: workspace.run(program)?,
                expanded: workspace.expanded(program)?.0,
                llvm: workspace.llvm_lines(program)?,
                expansion: Samples::default(),
                build: Samples::default(),
            });
        }
        for _ in 0..ROUNDS {
            for (program, measured) in self.programs.iter().zip(&mut measured) {
                measured.expansion.push(workspace.expanded(program)?.1);
                measured.build.push(workspace.build(program)?.as_secs_f64());
            }
        }
        Ok(measured)
    }

    /// What an item costs beyond what it costs as it is.
    fn print(&self, measured: &[Measured]) {
        let Some(bare) = measured.first() else { return };
        let peer = self.programs.iter().position(|program| program.how == How::Tracing).map(|at| &measured[at]);
        let mut table = Table::new(&[
            "",
            "expansion, µs",
            "expanded lines",
            "LLVM lines",
            "build, ms",
            "min–max",
            "bytes of a future",
        ]);
        for (program, cost) in self.programs.iter().zip(measured) {
            let (least, most) = cost.build.range();
            let cells = cost.beyond(bare, self.items);
            let against = peer.filter(|_| program.how == How::Ours).map(|peer| peer.beyond(bare, self.items));
            let cell = |at: usize| match against {
                Some(peer) => format!(
                    "{} ({:.2}: {})",
                    number(cells[at]),
                    cells[at] / peer[at],
                    verdict(cells[at] <= peer[at] * AIM)
                ),
                None => number(cells[at]),
            };
            let spread = format!("{}–{} s", number(least), number(most));
            table.row([program.how.title().to_owned(), cell(0), cell(1), cell(2), cell(3), spread, cell(4)]);
        }
        println!("\n{} {}: each adds, ours ÷ tracing::instrument in parentheses\n", self.items, self.what);
        table.print();
    }
}

impl Measured {
    /// Microseconds, lines, lines, milliseconds and bytes.
    fn beyond(&self, bare: &Self, items: f64) -> [f64; 5] {
        [
            (self.expansion.median() - bare.expansion.median()) * 1e6 / items,
            (self.expanded - bare.expanded) / items,
            (self.llvm - bare.llvm) / items,
            (self.build.median() - bare.build.median()) * 1e3 / items,
            // Every other one is async.
            (self.bytes - bare.bytes) / (items / 2.0),
        ]
    }
}
