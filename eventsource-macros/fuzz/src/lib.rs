//! Inputs that the macros have to survive.

mod choices;
mod grammar;
mod mutate;
mod survive;

pub use choices::{Choices, Random};
pub use survive::{Input, Macro, Survived, input, named, survive, try_input};

/// Runs the inputs in the files that the arguments name, for the macro that `FUZZ_MACRO` names.
///
/// # Errors
/// A file cannot be read.
pub fn replay() -> std::io::Result<()> {
    for file in std::env::args().skip(1) {
        survive(&std::fs::read(&file)?);
        println!("{file}: survived");
    }
    Ok(())
}
