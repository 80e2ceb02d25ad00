//! `cargo bench -p eventsource-bench --bench calls [-- --instructions]`

use std::path::Path;

use eventsource_bench::calls::driver::{Programs, run};

fn main() -> std::io::Result<()> {
    let instructions = std::env::args().any(|argument| argument == "--instructions");
    let programs = Programs {
        worker: Path::new(env!("CARGO_BIN_EXE_calls-worker")),
        allocations: Path::new(env!("CARGO_BIN_EXE_calls-allocations")),
    };
    run(programs, instructions)
}
