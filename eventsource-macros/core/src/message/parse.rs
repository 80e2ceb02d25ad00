//! What was written: the type and its options.

use proc_macro2::TokenStream;
use syn::{Data, DeriveInput, Ident, LitStr, Member, Type};

use super::Kind;
use crate::diagnostics::Diagnostics;
use crate::fields::{self, Attribute};
use crate::keys;
use crate::options::{Form, Options, Word, Words};
use crate::paths::{self, Runtime};
use crate::sensitive::{self, SENSITIVE};

const ON_FIELD: &[(&str, &str)] =
    &[(keys::ID, fields::ON_FIELD), (keys::ATTRIBUTE, fields::ON_FIELD), (keys::SENSITIVE, fields::ON_FIELD)];

pub(crate) const COMMAND: Words =
    Words::new(&[Word::new(keys::AGGREGATE, Form::Type), Word::new(keys::NAME, Form::Text), paths::CRATE])
        .with_elsewhere(ON_FIELD);

pub(crate) const COMMAND_FIELD: Words = Words::new(&[Word::new(keys::ID, Form::Flag), fields::ATTRIBUTE, SENSITIVE])
    .with_elsewhere(&[(keys::AGGREGATE, fields::ON_TYPE), (keys::NAME, fields::ON_TYPE)]);

pub(crate) const QUERY: Words = Words::new(&[
    Word::new(keys::OUTPUT, Form::Type),
    Word::new(keys::ERROR, Form::Type),
    Word::new(keys::NAME, Form::Text),
    paths::CRATE,
])
.with_elsewhere(&[(keys::ATTRIBUTE, fields::ON_FIELD), (keys::SENSITIVE, fields::ON_FIELD)]);

pub(crate) const QUERY_FIELD: Words = Words::new(&[fields::ATTRIBUTE, SENSITIVE]).with_elsewhere(&[
    (keys::OUTPUT, fields::ON_TYPE),
    (keys::ERROR, fields::ON_TYPE),
    (keys::NAME, fields::ON_TYPE),
]);

pub(super) struct Parsed {
    pub(super) input: DeriveInput,
    pub(super) runtime: Runtime,
    pub(super) name: Option<LitStr>,
    /// `aggregate = Type` of a command, `output = Type` of a query.
    pub(super) target: Option<Type>,
    /// `error = Type` of a query.
    pub(super) error: Option<Type>,
    /// Every field with `id`, and that word.
    pub(super) ids: Vec<(Ident, Member)>,
    /// Whether a mistake probably meant for the target, or for an id, was reported.
    pub(super) is_target_unclear: bool,
    pub(super) is_id_unclear: bool,
    pub(super) attributes: Vec<Attribute>,
    pub(super) sensitive: Vec<sensitive::Field>,
}

pub(super) fn parse(diagnostics: &mut Diagnostics, kind: Kind, item: TokenStream) -> Option<Parsed> {
    let input = fields::item(diagnostics, item)?;
    let (words, field_words, target) = match kind {
        Kind::Command => (COMMAND, COMMAND_FIELD, keys::AGGREGATE),
        Kind::Query => (QUERY, QUERY_FIELD, keys::OUTPUT),
    };
    let mut options = Options::from_attributes(diagnostics, words, &input.attrs, kind.word());
    let mut marked = match (kind, &input.data) {
        // The enum itself is reported; its contents are not another mistake.
        (Kind::Command, Data::Enum(_)) => Vec::new(),
        _ => fields::marked(diagnostics, &input, field_words, kind.word()),
    };
    let is_id_unclear = options.is_unclear(keys::ID) || marked.iter().any(|it| it.options.is_unclear(keys::ID));
    let ids = marked.iter_mut().filter_map(|it| Some((it.options.flag(keys::ID)?, it.member.clone()))).collect();
    let sensitive = marked.iter_mut().filter_map(|it| sensitive::read(diagnostics, it)).collect();
    let attributes = marked.iter_mut().filter_map(|it| fields::attribute(diagnostics, it)).collect();
    Some(Parsed {
        runtime: Runtime::from_options(&mut options),
        name: options.text(keys::NAME),
        is_target_unclear: options.is_unclear(target),
        is_id_unclear,
        target: options.ty(target),
        error: if kind == Kind::Query { options.ty(keys::ERROR) } else { None },
        ids,
        attributes,
        sensitive,
        input,
    })
}
