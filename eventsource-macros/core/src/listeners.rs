//! Blocks whose methods take events, with options for the block and for each method: what `#[projection]` and
//! `#[process_manager]` read alike.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::parse::Parse as _;
use syn::{Attribute, Expr, LitStr, Type};

use crate::diagnostics::{self, Diagnostics};
use crate::keys;
use crate::names::check_kept;
use crate::options::{Options, Words};
use crate::output::shape_lints;
use crate::paths::Runtime;
use crate::signature::{ImplBlock, last_segment, report_item};

/// What the two say differently.
pub(crate) struct Grammar {
    /// The attribute on the methods.
    pub(crate) attribute: &'static str,
    pub(crate) block: Words,
    pub(crate) method: Words,
    /// What to say where the macro stands on something else.
    pub(crate) misplaced: &'static str,
    /// What to say of an attribute on a method that says nothing.
    pub(crate) bare: &'static str,
}

pub(crate) struct Parsed {
    pub(crate) runtime: Runtime,
    pub(crate) name: Option<LitStr>,
    /// Whether a mistake was reported that was probably meant for it.
    pub(crate) is_name_unclear: bool,
    pub(crate) enable_tracing: Option<Expr>,
    /// Without the attributes on its methods.
    pub(crate) block: ImplBlock,
    /// One for each method; none after a mistake.
    pub(crate) methods: Vec<Option<Options>>,
}

impl Parsed {
    /// The user's block, as it stays in the program.
    pub(crate) fn cleaned(&self) -> TokenStream {
        self.block.to_token_stream()
    }
}

/// Whether the block is no trait's. Of the items in it, which are reported, `item` says what they should be.
pub(crate) fn is_inherent(diagnostics: &mut Diagnostics, block: &ImplBlock, attribute: &str, item: &str) -> bool {
    if let Some(path) = &block.trait_path {
        diagnostics.error(path, format!("`#[{attribute}]` belongs on `impl Type {{ .. }}`; this implements a trait"));
        return false;
    }
    for other in &block.others {
        let message = format!("every item under `#[{attribute}]` is {item}; move this into another `impl`");
        diagnostics.error(other, message);
    }
    true
}

/// The name under which the checkpoint is kept: as it is written, or the type's; nothing after a mistake.
pub(crate) fn name(
    diagnostics: &mut Diagnostics,
    written: Option<LitStr>,
    is_unclear: bool,
    self_ty: &Type,
    attribute: &str,
) -> Option<LitStr> {
    if let Some(name) = written {
        check_kept(diagnostics, &name, &format!("{}'s name", attribute.replace('_', " ")), "`name = \"..\"`");
        return Some(name);
    }
    if let Some(segment) = last_segment(self_ty) {
        return Some(LitStr::new(&segment.ident.unraw().to_string(), segment.ident.span()));
    }
    if !is_unclear {
        let message = format!("this type has no name for its checkpoint; write `#[{attribute}(name = \"..\")]`");
        diagnostics.error(self_ty, message);
    }
    None
}

impl Grammar {
    pub(crate) fn parse(
        &self,
        diagnostics: &mut Diagnostics,
        options: TokenStream,
        item: TokenStream,
    ) -> Option<Parsed> {
        let mut options = Options::parse(diagnostics, self.block, options);
        let mut block = match diagnostics::parse(item.clone(), ImplBlock::parse) {
            Ok(block) => block,
            Err(error) => {
                report_item(diagnostics, item, error, "impl", self.misplaced);
                return None;
            }
        };
        let mut methods = Vec::new();
        for method in &mut block.methods {
            let before = diagnostics.count();
            method.refuse_conditional(diagnostics, self.attribute);
            let attributes = method.take_attributes(self.attribute);
            let options = self.method_options(diagnostics, &attributes);
            methods.push((diagnostics.count() == before).then_some(options));
            // First: what the user says of them comes later, and holds.
            method.attrs.insert(0, shape_lints());
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
    fn method_options(&self, diagnostics: &mut Diagnostics, attributes: &[Attribute]) -> Options {
        let mut options = Options::default();
        for attribute in attributes {
            options.add(diagnostics, self.method, attribute, self.bare);
        }
        options
    }
}
