//! What was written: the type and its options.

use proc_macro2::TokenStream;
use syn::{DeriveInput, Ident, LitStr, Member, Type};

use super::Kind;
use crate::diagnostics::Diagnostics;
use crate::fields::{self, Attribute};
use crate::keys;
use crate::options::{Form, Options, Word};
use crate::paths::{self, Runtime};
use crate::sensitive::{self, SENSITIVE};

const COMMAND: &[Word] = &[Word::new(keys::AGGREGATE, Form::Type), Word::new(keys::NAME, Form::Text), paths::CRATE];
const COMMAND_FIELD: &[Word] = &[Word::new(keys::ID, Form::Flag), fields::ATTRIBUTE, SENSITIVE];
const QUERY: &[Word] = &[Word::new(keys::OUTPUT, Form::Type), Word::new(keys::NAME, Form::Text), paths::CRATE];
const QUERY_FIELD: &[Word] = &[fields::ATTRIBUTE, SENSITIVE];

pub(super) struct Parsed {
    pub(super) input: DeriveInput,
    pub(super) runtime: Runtime,
    pub(super) name: Option<LitStr>,
    /// `aggregate = Type` of a command, `output = Type` of a query.
    pub(super) target: Option<Type>,
    /// Every field that says `id`, with that word.
    pub(super) ids: Vec<(Ident, Member)>,
    pub(super) attributes: Vec<Attribute>,
    pub(super) sensitive: Vec<Member>,
}

pub(super) fn parse(diagnostics: &mut Diagnostics, kind: Kind, item: TokenStream) -> Option<Parsed> {
    let input: DeriveInput = diagnostics.take(syn::parse2(item))?;
    let (words, field_words, target) = match kind {
        Kind::Command => (COMMAND, COMMAND_FIELD, keys::AGGREGATE),
        Kind::Query => (QUERY, QUERY_FIELD, keys::OUTPUT),
    };
    let mut options = Options::from_attributes(diagnostics, words, &input.attrs, kind.word());
    let mut marked = fields::marked(diagnostics, &input, field_words, kind.word());
    let ids = marked.iter_mut().filter_map(|it| Some((it.options.flag(keys::ID)?, it.member.clone()))).collect();
    let sensitive = marked.iter_mut().filter_map(|it| sensitive::read(diagnostics, it)).collect();
    let attributes = marked.iter_mut().filter_map(|it| fields::attribute(diagnostics, it)).collect();
    Some(Parsed {
        runtime: Runtime::from_options(&mut options),
        name: options.text(keys::NAME),
        target: options.ty(target),
        ids,
        attributes,
        sensitive,
        input,
    })
}
