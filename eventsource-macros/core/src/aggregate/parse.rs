//! What was written: the type and its options.

use proc_macro2::TokenStream;
use syn::parse::Parse;
use syn::{DeriveInput, Ident, LitInt, LitStr, Path, Type};

use crate::diagnostics::Diagnostics;
use crate::fields;
use crate::keys;
use crate::options::{Form, Options, Word, entries};
use crate::paths::{self, Runtime};

const OPTIONS: &[Word] = &[
    Word::new(keys::ID, Form::Type),
    Word::new(keys::EVENTS, Form::List),
    Word::new(keys::ERROR, Form::Type),
    Word::new(keys::NAME, Form::Text),
    Word::new(keys::SNAPSHOT, Form::List),
    Word::new(keys::DERIVE, Form::List),
    Word::new(keys::EVENT, Form::Path),
    paths::CRATE,
];
const SNAPSHOT: &[Word] = &[Word::new(keys::EVERY, Form::Number), Word::new(keys::VERSION, Form::Number)];

pub(super) struct Parsed {
    pub(super) input: DeriveInput,
    pub(super) runtime: Runtime,
    pub(super) id: Option<Type>,
    pub(super) error: Option<Type>,
    pub(super) name: Option<LitStr>,
    /// None if `events(..)` is missing.
    pub(super) events: Option<Vec<Path>>,
    pub(super) snapshot: Option<Snapshot>,
    pub(super) derive: Vec<Path>,
    pub(super) event: Option<Path>,
}

/// `snapshot(every = 100, version = 2)`.
pub(super) struct Snapshot {
    pub(super) key: Ident,
    pub(super) every: Option<LitInt>,
    pub(super) version: Option<LitInt>,
}

pub(super) fn parse(diagnostics: &mut Diagnostics, item: TokenStream) -> Option<Parsed> {
    let input: DeriveInput = diagnostics.take(syn::parse2(item))?;
    let mut options = Options::from_attributes(diagnostics, OPTIONS, &input.attrs, keys::AGGREGATE);
    // An aggregate's fields have no options; what stands there is reported.
    fields::marked(diagnostics, &input, &[], keys::AGGREGATE);
    Some(Parsed {
        runtime: Runtime::from_options(&mut options),
        id: options.ty(keys::ID),
        error: options.ty(keys::ERROR),
        name: options.text(keys::NAME),
        events: list(diagnostics, &mut options, keys::EVENTS),
        snapshot: snapshot(diagnostics, &mut options),
        derive: list(diagnostics, &mut options, keys::DERIVE).unwrap_or_default(),
        event: options.path(keys::EVENT),
        input,
    })
}

fn list<T: Parse>(diagnostics: &mut Diagnostics, options: &mut Options, key: &str) -> Option<Vec<T>> {
    let list = options.list(key)?;
    let mut items = Vec::new();
    entries(diagnostics, list.stream(), |_, input| {
        items.push(input.parse()?);
        Ok(())
    });
    Some(items)
}

fn snapshot(diagnostics: &mut Diagnostics, options: &mut Options) -> Option<Snapshot> {
    let given = options.take(keys::SNAPSHOT)?;
    let crate::options::Value::List(list) = given.value else { return None };
    let mut options = Options::parse(diagnostics, SNAPSHOT, list.stream());
    let (every, version) = (options.number(keys::EVERY), options.number(keys::VERSION));
    Some(Snapshot { key: given.key, every, version })
}
