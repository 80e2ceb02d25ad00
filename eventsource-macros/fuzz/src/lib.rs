//! Inputs that the macros have to survive.

mod choices;
mod grammar;
mod mutate;
mod survive;

pub use choices::{Choices, Random};
pub use survive::{Input, MACROS, Macro, Survived, input, survive, try_input};

/// Runs the inputs in the files that the arguments name.
///
/// # Errors
/// A file cannot be read.
pub fn replay(name: &str) -> std::io::Result<()> {
    for file in std::env::args().skip(1) {
        survive(name, &std::fs::read(&file)?);
        println!("{file}: survived");
    }
    Ok(())
}
