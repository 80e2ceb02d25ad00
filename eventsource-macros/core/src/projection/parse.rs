//! What may be written: the options of the block and of its methods.

use crate::keys;
use crate::listeners::Grammar;
use crate::options::{Form, Word, Words};
use crate::paths;

const ON_METHOD: &str = "belongs on a method; this is the block of them";
const ON_BLOCK: &str = "belongs on the `impl` block; this is a method";

pub(crate) const OPTIONS: Words =
    Words::new(&[Word::new(keys::NAME, Form::Text), Word::new(keys::ENABLE_TRACING, Form::Expr), paths::CRATE])
        .with_elsewhere(&[(keys::SETUP, ON_METHOD), (keys::RESET, ON_METHOD)]);

pub(crate) const METHOD: Words = Words::new(&[Word::new(keys::SETUP, Form::Flag), Word::new(keys::RESET, Form::Flag)])
    .with_elsewhere(&[(keys::NAME, ON_BLOCK), (keys::ENABLE_TRACING, ON_BLOCK), (keys::CRATE, ON_BLOCK)]);

pub(super) const GRAMMAR: Grammar = Grammar {
    attribute: keys::PROJECTION,
    block: OPTIONS,
    method: METHOD,
    bare: "say what the method does; write `#[projection(setup)]` or `#[projection(reset)]`",
};
