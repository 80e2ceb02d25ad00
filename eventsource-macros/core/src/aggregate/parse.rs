//! What was written: the type and its options.

use proc_macro2::TokenStream;
use syn::{DeriveInput, Expr, Ident, LitInt, LitStr, Path, Type};

use crate::diagnostics::Diagnostics;
use crate::fields;
use crate::keys;
use crate::options::{Form, Options, Value, Word, Words, each_of};
use crate::paths::{self, Runtime};
use crate::sensitive::{self, SENSITIVE};

pub(crate) const OPTIONS: Words = Words::new(&[
    Word::new(keys::ID, Form::Type),
    Word::new(keys::EVENTS, Form::List("A, b::B")),
    Word::new(keys::ERROR, Form::Type),
    Word::new(keys::FAULT, Form::Function),
    Word::new(keys::NAME, Form::Text),
    Word::new(keys::SNAPSHOT, Form::List("every = 100")),
    Word::new(keys::DERIVE, Form::List("Clone")),
    Word::new(keys::EVENT, Form::Path),
    paths::CRATE,
])
.with_elsewhere(&[(keys::EVERY, IN_SNAPSHOT), (keys::VERSION, IN_SNAPSHOT), (keys::SENSITIVE, fields::ON_FIELD)]);

const IN_SNAPSHOT: &str = "belongs in `snapshot(every = 100, version = 2)`";

/// In `snapshot(..)`.
pub(crate) const SNAPSHOT: Words =
    Words::new(&[Word::new(keys::EVERY, Form::Number), Word::new(keys::VERSION, Form::Number)]);

pub(crate) const FIELD: Words = Words::new(&[SENSITIVE]);

pub(super) struct Parsed {
    pub(super) input: DeriveInput,
    pub(super) runtime: Runtime,
    pub(super) id: Option<Type>,
    pub(super) error: Option<Type>,
    pub(super) fault: Option<Expr>,
    pub(super) name: Option<LitStr>,
    pub(super) events: Vec<Path>,
    pub(super) unclear: Unclear,
    pub(super) snapshot: Option<Snapshot>,
    pub(super) derive: Vec<Path>,
    pub(super) event: Option<Path>,
    pub(super) sensitive: Vec<sensitive::Field>,
}

/// The options for which a mistake probably meant for them was reported.
pub(super) struct Unclear {
    pub(super) id: bool,
    pub(super) error: bool,
    pub(super) events: bool,
}

/// `snapshot(every = 100, version = 2)`.
pub(super) struct Snapshot {
    pub(super) key: Ident,
    pub(super) every: Option<LitInt>,
    pub(super) version: Option<LitInt>,
    /// The same for `every`.
    pub(super) is_unclear: bool,
}

pub(super) fn parse(diagnostics: &mut Diagnostics, item: TokenStream) -> Option<Parsed> {
    let input = fields::item(diagnostics, item)?;
    let mut options = Options::from_attributes(diagnostics, OPTIONS, &input.attrs, keys::AGGREGATE);
    let mut marked = fields::marked(diagnostics, &input, FIELD, keys::AGGREGATE);
    let mut unclear = Unclear {
        id: options.is_unclear(keys::ID),
        error: options.is_unclear(keys::ERROR),
        events: options.is_unclear(keys::EVENTS),
    };
    let before = diagnostics.count();
    let fault = "an event is named by its path; write `events(A, b::B)`";
    let events = each_of(diagnostics, options.list(keys::EVENTS), fault);
    unclear.events |= diagnostics.count() > before;
    Some(Parsed {
        runtime: Runtime::from_options(&mut options),
        id: options.ty(keys::ID),
        error: options.ty(keys::ERROR),
        fault: options.expr(keys::FAULT),
        name: options.text(keys::NAME),
        events,
        unclear,
        snapshot: snapshot(diagnostics, &mut options),
        derive: each_of(
            diagnostics,
            options.list(keys::DERIVE),
            "a derive is named by its path; write `derive(Clone)`",
        ),
        event: options.path(keys::EVENT),
        sensitive: marked.iter_mut().filter_map(|it| sensitive::read(diagnostics, it)).collect(),
        input,
    })
}

fn snapshot(diagnostics: &mut Diagnostics, options: &mut Options) -> Option<Snapshot> {
    let given = options.take(keys::SNAPSHOT)?;
    let Value::List(list) = given.value else { return None };
    let mut options = Options::parse(diagnostics, SNAPSHOT, list.stream());
    let (every, version) = (options.number(keys::EVERY), options.number(keys::VERSION));
    Some(Snapshot { key: given.key, every, version, is_unclear: options.is_unclear(keys::EVERY) })
}
