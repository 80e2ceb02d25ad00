//! The generated items: functions, messages, handlers and projections.

mod body;
mod cover;
mod function;
mod messages;
mod signature;

/// Files, by name.
pub(crate) fn all(seed: u64) -> Vec<(&'static str, String)> {
    vec![("functions.rs", function::generate(seed)), ("messages.rs", messages::generate(seed))]
}
