//! The description of the span, and the statement that starts it.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::{Ident, Token};

use super::arguments;
use super::attributes::{constant, values};
use super::model::{Model, Parent};
use crate::output::{borrowed, local};
use crate::signature::Function;

pub(super) fn site(Model { runtime, name, kind, constants, attributes, .. }: &Model) -> TokenStream {
    let private = runtime.private();
    let constants = constants.iter().map(|(key, literal)| constant(&private, key, literal));
    let keys = attributes.iter().map(|entry| &entry.key);
    quote_spanned! {Span::mixed_site()=>
        static __ES_SITE: #private::Site =
            #private::Site::new(#name, #private::Kind::#kind, &[#(#constants),*], &[#(#keys),*]);
    }
}

/// The statement that starts the span, if `on` says so.
pub(super) fn start_where(model: &Model, on: &TokenStream) -> TokenStream {
    let (span, start) = (local("__es_span"), start(model));
    // After the expressions that they check: for a half-written name an editor looks at its first use.
    let checks = model.sensitive();
    quote_spanned! {Span::mixed_site()=>
        let #span = if #on { #start } else { ::core::option::Option::None };
        #checks
    }
}

pub(super) fn start_where_may_be_on(model: &Model) -> TokenStream {
    let private = model.runtime.private();
    start_where(model, &quote_spanned!(Span::mixed_site()=> #private::Site::may_be_on(&__ES_SITE)))
}

fn start(model: &Model) -> TokenStream {
    let private = model.runtime.private();
    let Some(enabled) = &model.enable_tracing else { return start_enabled(model) };
    let (muted, switch, start) = (local("__es_muted"), local("__es_enabled"), start_enabled(model));
    let owns = owns(model);
    // A `let` allows another macro's block before an operator, and reports a wrong type at the expression.
    quote_spanned! {Span::mixed_site()=>
        match #private::disabled(&__ES_SITE, &#owns || { let #switch: ::core::primitive::bool = #enabled; #switch }) {
            ::core::option::Option::None => #start,
            #muted => #muted,
        }
    }
}

fn start_enabled(model: &Model) -> TokenStream {
    let private = model.runtime.private();
    let owns = owns(model);
    let values = values(&model.runtime, owns, &model.attributes);
    let options = options(model);
    if options.is_empty() {
        let owner = owner(model);
        quote_spanned!(Span::mixed_site()=> #private::start(&__ES_SITE, #owner, #values))
    } else {
        let out = local("__es_options");
        quote_spanned!(Span::mixed_site()=> #private::start_with(&__ES_SITE, &#owns |#out| { #options }, #values))
    }
}

pub(super) fn owner(model: &Model) -> TokenStream {
    let Some(owner) = &model.owner else { return quote_spanned!(Span::mixed_site()=> ::core::option::Option::None) };
    // In a block: from a bare path clippy concludes that the function has side effects.
    quote_spanned!(Span::mixed_site()=> ::core::option::Option::Some({ ::core::any::type_name::<#owner> }))
}

/// `move` for closures that would otherwise borrow the arguments of an `async fn`, if those can be copied: borrowed
/// ones are kept in the future.
fn owns(Model { function: Function { sig, .. }, .. }: &Model) -> Option<Token![move]> {
    (sig.asyncness.is_some() && arguments::are_copied(sig)).then(|| Token![move](Span::mixed_site()))
}

/// The calls that set the options; empty if there are none besides the owner.
pub(super) fn options(Model { runtime, owner, parent, links, .. }: &Model) -> TokenStream {
    let private = runtime.private();
    let options = local("__es_options");
    let mut calls = TokenStream::new();
    // A panic in an expression loses only that option.
    let guarded = |with: &str, set: TokenStream| {
        let with = Ident::new(with, Span::mixed_site());
        quote_spanned!(Span::mixed_site()=> #private::Options::#with(#options, &|#options| #set);)
    };
    match parent {
        Parent::Current => (),
        Parent::Root => calls.extend(quote_spanned!(Span::mixed_site()=> #private::Options::root(#options);)),
        Parent::Of(parent) => {
            let parent = borrowed(parent);
            let set = quote_spanned!(Span::mixed_site()=> #private::Options::parent(#options, #parent));
            calls.extend(guarded("with", set));
        }
    }
    if let Some(links) = links {
        let links = borrowed(links);
        let set = quote_spanned!(Span::mixed_site()=> #private::Options::links(#options, #links));
        // After the parent, which decides whether there is a span.
        calls.extend(guarded("with_links", set));
    }
    if let Some(owner) = owner
        && !calls.is_empty()
    {
        calls.extend(quote_spanned! {Span::mixed_site()=>
            #private::Options::owner(#options, ::core::any::type_name::<#owner>());
        });
    }
    calls
}
