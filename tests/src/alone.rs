//! Tests that another test starts, in a process of their own: what is global to one is theirs.

use std::env;
use std::future::Future;
use std::process::{Command, Output};

use eventsource_runtime::testing;

/// Set in such a process.
const ALONE: &str = "EVENTSOURCE_TESTS_ALONE";

/// The test of that name, of this binary, in a process of its own, where OpenTelemetry's variables are not set.
///
/// # Panics
/// The binary has no file.
#[must_use]
pub fn alone(test: &str) -> Command {
    let mut command = Command::new(env::current_exe().expect("a test has a file"));
    command.args([test, "--exact", "--nocapture"]).env(ALONE, "1");
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTEL_")) {
        command.env_remove(name);
    }
    command
}

/// Runs a test of that name of this binary in a process of its own: all that is logged there is this test's.
///
/// # Panics
/// It fails.
pub fn run_alone(test: &str, body: impl Future<Output = ()>) {
    if is_alone() {
        return testing::run(body);
    }
    passed(&mut alone(test), 1);
}

/// Runs tests in a process of their own, which also ends well if no test has the name, and returns what it has said.
///
/// # Panics
/// One fails, or fewer than `least` are run.
pub fn passed(command: &mut Command, least: usize) -> Output {
    let output = command.output().expect("a process");
    let [shown, errors] = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said).into_owned());
    let count = |line: &str| line.strip_prefix("test result: ok. ")?.split_once(" passed")?.0.parse::<usize>().ok();
    let passed = shown.lines().find_map(count).unwrap_or_default();
    assert!(output.status.success() && passed >= least, "{passed} of {least} tests have passed\n{shown}\n{errors}");
    output
}

/// Whether this process was started for one test, which does nothing anywhere else.
#[must_use]
pub fn is_alone() -> bool {
    env::var_os(ALONE).is_some()
}
