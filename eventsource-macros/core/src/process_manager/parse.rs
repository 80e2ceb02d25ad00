//! What may be written: the options of the block and of its methods.

use crate::keys;
use crate::listeners::{BLOCK, Grammar, ON_BLOCK, ON_METHOD};
use crate::options::{Form, Word, Words};

pub(crate) const OPTIONS: Words = BLOCK.with_elsewhere(&[(keys::ID, ON_METHOD)]);

pub(crate) const METHOD: Words = Words::new(&[Word::new(keys::ID, Form::Expr)]).with_elsewhere(ON_BLOCK);

pub(super) const GRAMMAR: Grammar = Grammar {
    attribute: keys::PROCESS_MANAGER,
    block: OPTIONS,
    method: METHOD,
    bare: "say which process the event belongs to; write `#[process_manager(id = event.order_id)]`",
};
