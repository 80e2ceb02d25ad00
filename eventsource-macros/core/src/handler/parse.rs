//! What was written: the impl block, its methods, and the `#[traced]` of each.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, Meta};

use super::Kind;
use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::options::Options;
use crate::output::shape_lints;
use crate::paths::{self, Runtime};
use crate::signature::ImplBlock;
use crate::traced::{self, Written};

pub(super) struct Parsed {
    pub(super) runtime: Runtime,
    /// Without the methods' `#[traced]`.
    pub(super) block: ImplBlock,
    /// One for each method.
    pub(super) traced: Vec<Option<Written>>,
}

impl Parsed {
    /// The user's block, as it stays in the program.
    pub(super) fn cleaned(&self) -> TokenStream {
        self.block.to_token_stream()
    }
}

pub(super) fn parse(
    diagnostics: &mut Diagnostics,
    kind: Kind,
    options: TokenStream,
    item: TokenStream,
) -> Option<Parsed> {
    let mut options = Options::parse(diagnostics, &[paths::CRATE], options);
    let Ok(mut block) = syn::parse2::<ImplBlock>(item.clone()) else {
        report_shape(diagnostics, kind, item);
        return None;
    };
    let mut written = Vec::new();
    for method in &mut block.methods {
        written.push(traced(diagnostics, &method.take_attributes(keys::TRACED)));
        method.attrs.push(shape_lints());
    }
    Some(Parsed { runtime: Runtime::from_options(&mut options), block, traced: written })
}

fn report_shape(diagnostics: &mut Diagnostics, kind: Kind, item: TokenStream) {
    let attribute = kind.attribute();
    let first = item.into_iter().next();
    diagnostics.error(quote!(#first), format!("`{attribute}` belongs on `impl Type {{ .. }}`"));
}

/// Reads a method's `#[traced]`, whose attributes go to the span that the runtime makes.
fn traced(diagnostics: &mut Diagnostics, attributes: &[Attribute]) -> Option<Written> {
    let (first, more) = attributes.split_first()?;
    for attribute in more {
        diagnostics.error(attribute, "`#[traced]` is given twice; keep one");
    }
    match &first.meta {
        Meta::List(list) => Some(traced::read(diagnostics, list.tokens.clone())),
        Meta::Path(_) | Meta::NameValue(_) => {
            let message =
                "a handler has its span already; name attributes, `#[traced(attributes(..))]`, or remove this";
            diagnostics.error(first, message);
            None
        }
    }
}
