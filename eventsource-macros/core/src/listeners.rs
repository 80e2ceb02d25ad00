//! Blocks whose methods take events, with options for the block and for each method: the grammar that `#[projection]`
//! and `#[process_manager]` share.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt as _;
use syn::{Attribute, Expr, LitStr, Type};

use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::names::{Bound, bound_under, check_kept, find};
use crate::options::{Options, Words};
use crate::output::{dead, is_underscored, like, shape_lints};
use crate::paths::Runtime;
use crate::seen::seen;
use crate::signature::{Function, ImplBlock, last_segment, parse_item};
use crate::tokens::is_sign;

/// What differs between the two.
pub(crate) struct Grammar {
    /// The attribute on the methods.
    pub(crate) attribute: &'static str,
    pub(crate) block: Words,
    pub(crate) method: Words,
    /// The message about an empty attribute on a method.
    pub(crate) bare: &'static str,
}

pub(crate) struct Parsed {
    pub(crate) runtime: Runtime,
    pub(crate) name: Option<LitStr>,
    /// Whether a mistake probably meant for the name was reported.
    pub(crate) is_name_unclear: bool,
    pub(crate) enable_tracing: Option<Expr>,
    /// Without the attributes on its methods.
    pub(crate) block: ImplBlock,
    /// One for each method; none after a mistake.
    pub(crate) methods: Vec<Option<Options>>,
}

/// The block under the attribute; `None` if it is none, which is reported.
pub(crate) fn impl_block(diagnostics: &mut Diagnostics, item: TokenStream, attribute: &str) -> Option<ImplBlock> {
    parse_item(diagnostics, item, "impl", &format!("`#[{attribute}]` belongs on `impl Type {{ .. }}`"))
}

/// Whether the block implements no trait. Reports other items in it; `item` says what they should be.
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

/// The name under which the checkpoint is kept: as written, or the type's; `None` after a mistake.
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

/// Names in the body what of the arguments only an option's expression names, which is evaluated elsewhere: the compiler
/// would call it unused.
fn keep_used(method: &mut Function, expr: &Expr) {
    let Some(body) = &method.body else { return };
    let tokens = body.stream();
    let is_used_there_alone = |Bound { name, .. }: &Bound| {
        let is_named = seen(expr, std::slice::from_ref(name)).is_some();
        is_named && !is_underscored(name) && find(tokens.clone(), &name.unraw().to_string()).is_none()
    };
    let names = method.arguments().flat_map(|argument| bound_under(Vec::new(), &argument.pat));
    let used = dead(&names.filter(is_used_there_alone).collect::<Vec<_>>());
    let mut ahead = tokens.clone().into_iter();
    // Attributes of the body come first.
    let has_attributes = is_sign(&ahead.next(), '#') && is_sign(&ahead.next(), '!');
    if let Some(used) = used.filter(|_| !has_attributes) {
        method.body = Some(like(body, quote!(#used #tokens)));
    }
}

impl Grammar {
    pub(crate) fn parse(
        &self,
        diagnostics: &mut Diagnostics,
        options: TokenStream,
        item: TokenStream,
    ) -> Option<Parsed> {
        let mut options = Options::parse(diagnostics, self.block, options);
        let mut block = impl_block(diagnostics, item, self.attribute)?;
        let mut methods = Vec::new();
        for method in &mut block.methods {
            let before = diagnostics.count();
            method.refuse_conditional(diagnostics, self.attribute);
            let attributes = method.take_attributes(self.attribute);
            let options = self.method_options(diagnostics, &attributes);
            if let Some(id) = options.given(keys::ID) {
                keep_used(method, id);
            }
            methods.push((diagnostics.count() == before).then_some(options));
            // First: the user's own lint levels come later, and win.
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

    /// The attributes on methods are read alike, whatever the macro's path.
    fn method_options(&self, diagnostics: &mut Diagnostics, attributes: &[Attribute]) -> Options {
        let mut options = Options::default();
        for attribute in attributes {
            options.add(diagnostics, self.method, attribute, self.bare);
        }
        options
    }
}
