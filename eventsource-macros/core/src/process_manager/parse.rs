//! What may be written: the options of the block and of its methods.

use crate::keys;
use crate::listeners::Grammar;
use crate::options::{Form, Word, Words};
use crate::paths;

pub(crate) const OPTIONS: Words =
    Words::new(&[Word::new(keys::NAME, Form::Text), Word::new(keys::ENABLE_TRACING, Form::Expr), paths::CRATE])
        .with_elsewhere(&[(keys::ID, "belongs on a method; this is the block of them")]);

const ON_BLOCK: &str = "belongs on the `impl` block; this is a method";

pub(crate) const METHOD: Words = Words::new(&[Word::new(keys::ID, Form::Expr)]).with_elsewhere(&[
    (keys::NAME, ON_BLOCK),
    (keys::ENABLE_TRACING, ON_BLOCK),
    (keys::CRATE, ON_BLOCK),
]);

pub(super) const GRAMMAR: Grammar = Grammar {
    attribute: keys::PROCESS_MANAGER,
    block: OPTIONS,
    method: METHOD,
    bare: "say which process the event belongs to; write `#[process_manager(id = event.order_id)]`",
};
