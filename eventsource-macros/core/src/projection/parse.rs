//! What may be written: the options of the block and of its methods.

use crate::keys;
use crate::listeners::{BLOCK, Grammar, ON_BLOCK, ON_METHOD};
use crate::options::{Form, Word, Words};

pub(crate) const OPTIONS: Words = BLOCK.with_elsewhere(&[(keys::SETUP, ON_METHOD), (keys::RESET, ON_METHOD)]);

pub(crate) const METHOD: Words =
    Words::new(&[Word::new(keys::SETUP, Form::Flag), Word::new(keys::RESET, Form::Flag)]).with_elsewhere(ON_BLOCK);

pub(super) const GRAMMAR: Grammar = Grammar {
    attribute: keys::PROJECTION,
    block: OPTIONS,
    method: METHOD,
    bare: "say what the method does; write `#[projection(setup)]` or `#[projection(reset)]`",
};
