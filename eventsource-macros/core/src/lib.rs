#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

mod aggregate;
mod diagnostics;
mod event;
mod fields;
mod generics;
mod handler;
mod keys;
mod listeners;
mod message;
mod names;
mod options;
mod output;
mod paths;
mod process_manager;
mod projection;
mod seen;
mod sensitive;
mod signature;
mod tokens;
mod traced;

#[cfg(test)]
mod after_mistakes;
#[cfg(test)]
mod documented;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod in_place;
#[cfg(test)]
mod refused;
#[cfg(test)]
mod seeds;

pub use aggregate::derive as aggregate;
pub use event::derive as event;
pub use handler::{command_handler, query_handler};
pub use message::{command, query};
pub use process_manager::attribute as process_manager;
pub use projection::attribute as projection;
pub use traced::{Instrumentation, attribute as traced};
