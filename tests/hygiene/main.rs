//! Expansions set off no lint, and reach the runtime through whatever path they are told.

#![deny(warnings, missing_docs, missing_debug_implementations, clippy::pedantic, clippy::nursery)]
#![forbid(unsafe_code)]

pub mod chosen;
pub mod facade;
pub mod forbidden;
#[cfg(test)]
mod guarantees;
#[cfg(test)]
mod lints;
pub mod strict;
