//! What was written: the impl block, its options, and those of each method.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Attribute, Expr, LitStr};

use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::options::{Form, Options, Word, Words};
use crate::output::shape_lints;
use crate::paths::{self, Runtime};
use crate::signature::{ImplBlock, report_item};

pub(crate) const OPTIONS: Words =
    Words::new(&[Word::new(keys::NAME, Form::Text), Word::new(keys::ENABLE_TRACING, Form::Expr), paths::CRATE])
        .with_elsewhere(&[(keys::ID, "belongs on a method; this is the block of them")]);

const ON_BLOCK: &str = "belongs on the `impl` block; this is a method";

pub(crate) const METHOD: Words = Words::new(&[Word::new(keys::ID, Form::Expr)]).with_elsewhere(&[
    (keys::NAME, ON_BLOCK),
    (keys::ENABLE_TRACING, ON_BLOCK),
    (keys::CRATE, ON_BLOCK),
]);

pub(super) struct Parsed {
    pub(super) runtime: Runtime,
    pub(super) name: Option<LitStr>,
    /// Whether a mistake was reported that was probably meant for it.
    pub(super) is_name_unclear: bool,
    pub(super) enable_tracing: Option<Expr>,
    /// Without the methods' `#[process_manager(..)]`.
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
    let mut block = match syn::parse2::<ImplBlock>(item.clone()) {
        Ok(block) => block,
        Err(error) => {
            report_item(diagnostics, item, error, "impl", "`#[process_manager]` belongs on `impl Type { .. }`");
            return None;
        }
    };
    let mut methods = Vec::new();
    for method in &mut block.methods {
        let attributes = method.take_attributes(keys::PROCESS_MANAGER);
        methods.push(method_options(diagnostics, &attributes));
        method.attrs.push(shape_lints());
    }
    Some(Parsed {
        runtime: Runtime::from_options(&mut options),
        is_name_unclear: options.is_unclear(keys::NAME),
        name: options.text(keys::NAME),
        enable_tracing: options.expr(keys::ENABLE_TRACING),
        block,
        methods,
    })
}

/// By whatever path the macro is written, its attributes on methods are read alike.
fn method_options(diagnostics: &mut Diagnostics, attributes: &[Attribute]) -> Option<Options> {
    let before = diagnostics.count();
    let mut options = Options::default();
    for attribute in attributes {
        let message = "say which process the event belongs to; write `#[process_manager(id = event.order_id)]`";
        options.add(diagnostics, METHOD, attribute, message);
    }
    (diagnostics.count() == before).then_some(options)
}
