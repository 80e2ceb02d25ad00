//! The script that runs every check sets variables of tests that read them, and that it runs.

use super::sources::{Source, sources};

const SCRIPT: &str = include_str!("../../run");

/// What `cargo test` is told to run.
#[derive(Default)]
struct Run<'a> {
    target: &'a str,
    /// Each is a part of the paths of tests that run; without any, all do.
    filters: Vec<&'a str>,
    skipped: Vec<&'a str>,
}

impl<'a> Run<'a> {
    fn of(command: &'a str) -> Option<Self> {
        let (_, arguments) = command.split_once("cargo test ")?;
        let (mut run, mut words) = (Self::default(), arguments.split_whitespace());
        while let Some(word) = words.next() {
            match word {
                "--test" => run.target = words.next()?,
                "--skip" => run.skipped.push(words.next()?),
                "-p" | "--features" => {
                    words.next()?;
                }
                _ if word.starts_with('-') => {}
                _ => run.filters.push(word),
            }
        }
        Some(run)
    }

    fn has(&self, test: &str) -> bool {
        let is_wanted = self.filters.is_empty() || self.filters.iter().any(|part| test.contains(part));
        is_wanted && !self.skipped.iter().any(|part| test.contains(part))
    }

    /// Whether it runs a test of a file that reads a variable.
    fn reads(&self, variable: &str) -> bool {
        let name = format!("\"{variable}\"");
        let files = sources(&format!("tests/{}", self.target));
        let readers = files.iter().filter(|file| file.text.contains(&name));
        readers.flat_map(Source::tests).any(|test| self.has(&test))
    }
}

/// The filters beside one matched no test that reads it: a long run was as short as any.
#[test]
fn every_variable_that_is_set_is_read_by_a_test_that_is_run() {
    let commands = SCRIPT.replace("\\\n", " ");
    let (mut set, mut unread) = (0, Vec::new());
    for command in commands.lines() {
        let variables = command.split_whitespace().filter(|word| word.starts_with("EVENTSOURCE_TESTS_"));
        for (variable, _) in variables.filter_map(|word| word.split_once('=')) {
            set += 1;
            let is_read = Run::of(command).is_some_and(|run| run.reads(variable));
            unread.extend((!is_read).then_some(variable));
        }
    }
    assert!(set >= 17, "only {set} variables are set");
    assert!(unread.is_empty(), "{unread:?}");
}
