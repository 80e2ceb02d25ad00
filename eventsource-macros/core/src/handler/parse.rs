//! What was written: the impl block, its methods, and the `#[traced]` of each.

use proc_macro2::TokenStream;
use syn::{Attribute, Meta};

use super::Kind;
use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::listeners::impl_block;
use crate::options::{Options, Words};
use crate::output::shape_lints;
use crate::paths::{self, Runtime};
use crate::signature::ImplBlock;
use crate::traced::{self, Written};

pub(crate) const OPTIONS: Words = Words::new(&[paths::CRATE]);

pub(super) struct Parsed {
    pub(super) runtime: Runtime,
    /// Without the methods' `#[traced]`.
    pub(super) block: ImplBlock,
    /// One for each method.
    pub(super) traced: Vec<Option<Written>>,
}

pub(super) fn parse(
    diagnostics: &mut Diagnostics,
    kind: Kind,
    options: TokenStream,
    item: TokenStream,
) -> Option<Parsed> {
    let mut options = Options::parse(diagnostics, OPTIONS, options);
    let mut block = impl_block(diagnostics, item, kind.attribute())?;
    let mut written = Vec::new();
    for method in &mut block.methods {
        method.refuse_conditional(diagnostics, keys::TRACED);
        written.push(traced(diagnostics, &method.take_attributes(keys::TRACED)));
        // First: the user's own lint levels come later, and win.
        method.attrs.insert(0, shape_lints());
    }
    Some(Parsed { runtime: Runtime::from_options(&mut options), block, traced: written })
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
            diagnostics.none(first, message)
        }
    }
}
