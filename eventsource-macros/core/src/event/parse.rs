//! What was written: the type and its options.

use proc_macro2::TokenStream;
use syn::parse::{Parse, ParseStream};
use syn::{DeriveInput, LitInt, LitStr, Path, Token};

use crate::diagnostics::Diagnostics;
use crate::fields::{self, Attribute};
use crate::keys;
use crate::options::{Form, Options, Value, Word, Words, each_of};
use crate::paths::{self, Runtime};
use crate::sensitive::{self, SENSITIVE};

pub(crate) const OPTIONS: Words = Words::new(&[
    Word::new(keys::NAME, Form::Text),
    Word::new(keys::VERSION, Form::Number),
    Word::new(keys::ALIAS, Form::TextOrList),
    Word::new(keys::UPCAST, Form::List("1 => from_v1")),
    paths::CRATE,
])
.with_elsewhere(&[(keys::ATTRIBUTE, fields::ON_FIELD), (keys::SENSITIVE, fields::ON_FIELD)]);

pub(crate) const FIELD: Words = Words::new(&[fields::ATTRIBUTE, SENSITIVE]).with_elsewhere(&[
    (keys::NAME, fields::ON_TYPE),
    (keys::VERSION, fields::ON_TYPE),
    (keys::ALIAS, fields::ON_TYPE),
    (keys::UPCAST, fields::ON_TYPE),
]);

pub(super) struct Parsed {
    pub(super) input: DeriveInput,
    pub(super) runtime: Runtime,
    pub(super) name: Option<LitStr>,
    pub(super) version: Option<LitInt>,
    /// Whether a mistake probably meant for it was reported.
    pub(super) is_version_unclear: bool,
    pub(super) aliases: Vec<LitStr>,
    pub(super) upcasts: Vec<Upcast>,
    pub(super) attributes: Vec<Attribute>,
    pub(super) sensitive: Vec<sensitive::Field>,
}

/// `1 => path`.
pub(super) struct Upcast {
    pub(super) from: LitInt,
    pub(super) path: Path,
}

impl Parse for Upcast {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let from = input.parse()?;
        input.parse::<Token![=>]>()?;
        Ok(Self { from, path: input.parse()? })
    }
}

pub(super) fn parse(diagnostics: &mut Diagnostics, item: TokenStream) -> Option<Parsed> {
    let input = fields::item(diagnostics, item)?;
    let mut options = Options::from_attributes(diagnostics, OPTIONS, &input.attrs, keys::EVENT);
    let mut marked = fields::marked(diagnostics, &input, FIELD, keys::EVENT);
    Some(Parsed {
        runtime: Runtime::from_options(&mut options),
        name: options.text(keys::NAME),
        is_version_unclear: options.is_unclear(keys::VERSION),
        version: options.number(keys::VERSION),
        aliases: aliases(diagnostics, &mut options),
        upcasts: each_of(
            diagnostics,
            options.list(keys::UPCAST),
            "an upcast is a version and a function; write `1 => from_v1`",
        ),
        sensitive: marked.iter_mut().filter_map(|it| sensitive::read(diagnostics, it)).collect(),
        attributes: marked.iter_mut().filter_map(|it| fields::attribute(diagnostics, it)).collect(),
        input,
    })
}

fn aliases(diagnostics: &mut Diagnostics, options: &mut Options) -> Vec<LitStr> {
    match options.take(keys::ALIAS).map(|given| given.value) {
        Some(Value::Text(alias)) => vec![alias],
        Some(Value::List(list)) => {
            each_of(diagnostics, Some(list), "an alias is a former stored name; write `alias(\"..\")`")
        }
        _ => Vec::new(),
    }
}
