//! The generated items: functions, messages, handlers and projections.

mod body;
mod cover;
mod function;
mod messages;
mod signature;

/// Files of an edition, by name.
pub(crate) fn all(edition: &str) -> Vec<(&'static str, String)> {
    vec![("functions.rs", function::generate(edition)), ("messages.rs", messages::generate(edition))]
}
