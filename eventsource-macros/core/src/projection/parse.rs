//! What was written: the impl block, its options, and those of each method.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, Expr, LitStr, Meta};

use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::options::{Form, Options, Word};
use crate::output::shape_lints;
use crate::paths::{self, Runtime};
use crate::signature::ImplBlock;

const OPTIONS: &[Word] =
    &[Word::new(keys::NAME, Form::Text), Word::new(keys::ENABLE_TRACING, Form::Expr), paths::CRATE];
const METHOD: &[Word] = &[Word::new(keys::SETUP, Form::Flag), Word::new(keys::RESET, Form::Flag)];

pub(super) struct Parsed {
    pub(super) runtime: Runtime,
    pub(super) name: Option<LitStr>,
    pub(super) enable_tracing: Option<Expr>,
    /// Without the methods' `#[projection(..)]`.
    pub(super) block: ImplBlock,
    /// One for each method; none after a mistake.
    pub(super) methods: Vec<Option<Options>>,
}

impl Parsed {
    /// The user's block, as it stays in the program.
    pub(super) fn cleaned(&self) -> TokenStream {
        self.block.to_token_stream()
    }
}

pub(super) fn parse(diagnostics: &mut Diagnostics, options: TokenStream, item: TokenStream) -> Option<Parsed> {
    let mut options = Options::parse(diagnostics, OPTIONS, options);
    let Ok(mut block) = syn::parse2::<ImplBlock>(item.clone()) else {
        let first = item.into_iter().next();
        diagnostics.error(quote!(#first), "`#[projection]` belongs on `impl Type { .. }`");
        return None;
    };
    let mut methods = Vec::new();
    for method in &mut block.methods {
        let attributes = method.take_attributes(keys::PROJECTION);
        methods.push(method_options(diagnostics, &attributes));
        method.attrs.push(shape_lints());
    }
    Some(Parsed {
        runtime: Runtime::from_options(&mut options),
        name: options.text(keys::NAME),
        enable_tracing: options.expr(keys::ENABLE_TRACING),
        block,
        methods,
    })
}

/// By whatever path the macro is written, its attributes on methods are read alike.
fn method_options(diagnostics: &mut Diagnostics, attributes: &[Attribute]) -> Option<Options> {
    let before = diagnostics.count();
    let mut tokens = TokenStream::new();
    for attribute in attributes {
        match &attribute.meta {
            Meta::List(list) => {
                let inside = &list.tokens;
                tokens.extend(quote!(#inside,));
            }
            Meta::Path(_) | Meta::NameValue(_) => {
                let message = "say what the method does; write `#[projection(setup)]` or `#[projection(reset)]`";
                diagnostics.error(attribute, message);
            }
        }
    }
    let options = Options::parse(diagnostics, METHOD, tokens);
    (diagnostics.count() == before).then_some(options)
}
