//! Blocks whose methods take events, with options for the block and for each method: the grammar that `#[projection]`
//! and `#[process_manager]` share.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::{Attribute, Expr, Generics, Ident, LitStr, Type};

use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::names::{Bound, as_text, bound_under, check_kept, find};
use crate::options::{Form, Options, Word, Words};
use crate::output::{dead, first_span, impl_attributes, is_underscored, like, local, shape_lints};
use crate::paths::{self, Runtime};
use crate::seen::seen;
use crate::signature::{Function, ImplBlock, last_segment, parse_item};
use crate::tokens::is_sign;
use crate::traced::refuse_jumps;

/// What the blocks' attributes take.
pub(crate) const BLOCK: Words =
    Words::new(&[Word::new(keys::NAME, Form::Text), Word::new(keys::ENABLE_TRACING, Form::Expr), paths::CRATE]);

/// Its words, which the methods' attributes do not take.
pub(crate) const ON_BLOCK: &[(&str, &str)] =
    &[(keys::NAME, WHOLE), (keys::ENABLE_TRACING, WHOLE), (keys::CRATE, WHOLE)];
const WHOLE: &str = "belongs on the `impl` block; this is a method";

/// The end of messages about a method's option on the block.
pub(crate) const ON_METHOD: &str = "belongs on a method; this is the block of them";

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

/// What is made of a block, whatever its methods are.
pub(crate) struct Listener {
    pub(crate) runtime: Runtime,
    /// Those of the impls.
    pub(crate) attributes: TokenStream,
    pub(crate) generics: Generics,
    pub(crate) self_ty: Type,
    pub(crate) name: LitStr,
    /// The attribute, a dot, and the name.
    pub(crate) span: LitStr,
    pub(crate) enable_tracing: Option<Expr>,
}

impl Listener {
    pub(crate) fn new(
        diagnostics: &mut Diagnostics,
        attribute: &str,
        name: LitStr,
        (runtime, block, enable_tracing): (Runtime, ImplBlock, Option<Expr>),
    ) -> Self {
        let attributes = impl_attributes(&block);
        let enable_tracing = enable_tracing.filter(|expr| refuse_jumps(diagnostics, "`enable_tracing`", expr));
        let span = LitStr::new(&format!("{attribute}.{}", name.value()), name.span());
        let ImplBlock { generics, self_ty, .. } = block;
        Self { runtime, attributes, generics, self_ty, name, span, enable_tracing }
    }

    /// The method that switches the spans on or off; `this` is its receiver.
    pub(crate) fn switch(&self, this: Option<&Ident>) -> Option<TokenStream> {
        let (enabled, on) = (self.enable_tracing.as_ref()?, local("__es_on"));
        let this = this.map(|this| quote_spanned!(Span::mixed_site()=> &#this));
        Some(quote_spanned! {Span::mixed_site()=>
            fn enable_tracing(#this) -> ::core::option::Option<::core::primitive::bool> {
                let #on: ::core::primitive::bool = #enabled;
                ::core::option::Option::Some(#on)
            }
        })
    }

    /// The item that the list of events' names needs, if any, and the list, refused if two of them share one.
    pub(crate) fn names<'a>(
        &self,
        events: impl Iterator<Item = (&'a [Attribute], &'a Type)>,
    ) -> (Option<TokenStream>, TokenStream) {
        let private = self.runtime.private();
        let names = events.map(|(cfgs, event)| {
            let follow = follow(&self.runtime, event);
            quote_spanned!(Span::mixed_site()=> #(#cfgs)* #private::Follow::names(&#follow))
        });
        let names = quote_spanned!(Span::mixed_site()=> &[#(#names),*]);
        if !self.may_be_an_item(&names) {
            // The inner one makes the list `'static`, like its names.
            let list = quote_spanned!(Span::mixed_site()=> const { #private::distinct_handlers(const { #names }) });
            return (None, list);
        }
        let checked = quote_spanned!(Span::mixed_site()=> #private::distinct_handlers(#names));
        let list = local("__ES_EVENTS");
        let item = quote_spanned!(Span::mixed_site()=> const #list: #private::EventNames = #checked;);
        (Some(item), list.into_token_stream())
    }

    /// Whether a constant item can have this value, so that `cargo check` evaluates it; with type parameters or `Self`,
    /// on which it may depend, only an inline constant can.
    pub(crate) fn may_be_an_item(&self, value: &TokenStream) -> bool {
        self.generics.params.is_empty() && find(value.clone(), "Self").is_none()
    }
}

/// The only place that requires an event's type to be one, so that the compiler reports a violation once.
pub(crate) fn follow(runtime: &Runtime, event: &Type) -> TokenStream {
    let place = first_span(event);
    let (at, follow) = (runtime.private_at(place), local("follow"));
    quote_spanned!(place=> #at::#follow::<#event>())
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
        return Some(as_text(&segment.ident));
    }
    if is_unclear {
        return None;
    }
    let message = format!("this type has no name for its checkpoint; write `#[{attribute}(name = \"..\")]`");
    diagnostics.none(self_ty, message)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_the_option_names_is_used_in_the_body() {
        let used = |option: &str, body: &str| {
            let mut method: Function = syn::parse_str(&format!("fn on(&self, event: &E, _rest: &E) {body}"))?;
            keep_used(&mut method, &syn::parse_str(option)?);
            Ok::<_, syn::Error>(method.body.map(|body| body.to_string()))
        };
        let read = |option, body| used(option, body).expect("the test's own method");
        assert_eq!(read("event.id", "{ 1 }").as_deref(), Some("{ let _ = (& event ,) ; 1 }"));
        for (option, body) in [("event.id", "{ event }"), ("_rest.id", "{ 1 }"), ("1", "{ 1 }")] {
            assert_eq!(read(option, body).as_deref(), Some(body), "{option}");
        }
        assert_eq!(read("event.id", "{ #![a] 1 }").as_deref(), Some("{ #! [a] 1 }"));
    }

    #[test]
    fn an_item_of_another_kind_is_told_from_one_with_a_mistake() {
        let said = |item: &str| {
            let mut diagnostics = Diagnostics::default();
            let block = impl_block(&mut diagnostics, item.parse().expect("the test's own tokens"), "projection");
            (block.is_some(), diagnostics.into_tokens().to_string().contains("belongs on `impl Type"))
        };
        assert_eq!(said("impl A { fn f(&self) {} }"), (true, false));
        assert_eq!(said("pub impl A fn"), (false, false));
        assert_eq!(said("struct A;"), (false, true));
        assert_eq!(said("type A = impl B;"), (false, true));
        assert_eq!(said("const A: impl B = c;"), (false, true));
    }
}
