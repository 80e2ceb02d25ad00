//! The body in its span. Two statements: the first borrows the arguments for the attributes, the second may move them.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::Ident;

use super::attributes::{attribute, constant};
use super::covers::Covers;
use super::model::{Model, Parent, Returned};
use crate::output::{arm, borrowed, first_span, like, local, probes};
use crate::signature::Function;

pub(super) fn expand(model: &Model) -> TokenStream {
    let Function { attrs, vis, sig, .. } = &model.function;
    let site = site(model);
    let run = match model.covers {
        Covers::Call if sig.asyncness.is_some() => run_async(model),
        Covers::Call => run_sync(model),
        Covers::Future => run_covered(model, "future"),
        Covers::Stream => run_covered(model, "stream"),
    };
    let checks = model.sensitive();
    let body = like(&model.body, quote!(#site #checks #run));
    quote!(#(#attrs)* #vis #sig #body)
}

fn site(Model { runtime, name, kind, constants, .. }: &Model) -> TokenStream {
    let private = runtime.private();
    let constants = constants.iter().map(|(key, literal)| constant(&private, key, literal));
    quote_spanned! {Span::mixed_site()=>
        static __ES_SITE: #private::Site =
            #private::Site::new(#name, #private::Kind::#kind, &[#(#constants),*]);
    }
}

/// The statement that starts the span, if `on` says so.
fn start(model: &Model, on: &TokenStream) -> TokenStream {
    let private = model.runtime.private();
    let span = local("__es_span");
    let options = options(model);
    let out = local("__es_attributes");
    let attributes = if model.attributes.is_empty() {
        quote_spanned!(Span::mixed_site()=> |_| ())
    } else {
        let records = model.attributes.iter().map(|entry| attribute(&private, &out, entry));
        quote_spanned!(Span::mixed_site()=> |#out| { #(#records)* })
    };
    quote_spanned! {Span::mixed_site()=>
        let #span = if #on {
            #private::start(&__ES_SITE, &mut #options, &mut #attributes)
        } else {
            ::core::option::Option::None
        };
    }
}

fn options(Model { runtime, owner, parent, links, enable_tracing, .. }: &Model) -> TokenStream {
    let private = runtime.private();
    let options = local("__es_options");
    let mut calls = TokenStream::new();
    // A panic in an expression costs that option alone.
    let guarded = |set: TokenStream| quote_spanned!(Span::mixed_site()=> #private::Options::with(#options, &mut |#options| #set););
    if *owner {
        calls.extend(quote_spanned! {Span::mixed_site()=>
            #private::Options::owner(#options, ::core::any::type_name::<Self>());
        });
    }
    if let Some(enabled) = enable_tracing {
        calls.extend(guarded(quote_spanned!(Span::mixed_site()=> #private::Options::enable(#options, #enabled))));
    }
    match parent {
        Parent::Current => (),
        Parent::Root => calls.extend(quote_spanned!(Span::mixed_site()=> #private::Options::root(#options);)),
        Parent::Of(parent) => {
            let parent = borrowed(parent);
            calls.extend(guarded(quote_spanned!(Span::mixed_site()=> #private::Options::parent(#options, #parent))));
        }
    }
    if let Some(links) = links {
        let links = borrowed(links);
        calls.extend(guarded(quote_spanned!(Span::mixed_site()=> #private::Options::links(#options, #links))));
    }
    if calls.is_empty() {
        quote_spanned!(Span::mixed_site()=> |_| ())
    } else {
        quote_spanned!(Span::mixed_site()=> |#options| { #calls })
    }
}

/// All of it stands in a closure that owns the arguments, which runs out of line where spans may be on: so that where
/// they are off nothing is left of it.
fn run_sync(model: &Model) -> TokenStream {
    let private = model.runtime.private();
    let (span, on) = (local("__es_span"), local("__es_on"));
    let start = start(model, &quote!(#on));
    let inspect = inspect(model, Span::mixed_site());
    let body = &model.body;
    let returned = match &model.returned {
        Returned::Type(ty) => quote_spanned!(first_span(ty)=> -> #ty),
        Returned::Never => quote_spanned!(Span::mixed_site()=> -> !),
        // A closure cannot say `impl Trait`; without a type its body needs none.
        Returned::Opaque(_) => TokenStream::new(),
    };
    quote_spanned! {Span::mixed_site()=>
        #private::enter(&__ES_SITE, move |#on: bool| #returned {
            #start
            #private::sync(#span, move || #returned #body, #inspect)
        })
    }
}

fn run_async(model: &Model) -> TokenStream {
    let private = model.runtime.private();
    let (span, future) = (local("__es_span"), local("__es_body"));
    let start = start(model, &quote_spanned!(Span::mixed_site()=> __ES_SITE.may_be_on()));
    let inspect = inspect(model, Span::mixed_site());
    let body = &model.body;
    let (body, end) = match &model.returned {
        // A block has no place for its type, and without one its last expression is not coerced.
        Returned::Type(ty) => {
            let never = quote_spanned!(Span::mixed_site()=> #private::never::<#ty>());
            let body = arm(body);
            (quote_spanned!(Span::mixed_site()=> { if false { return #never; } #body }), TokenStream::new())
        }
        Returned::Opaque(_) => (body.to_token_stream(), TokenStream::new()),
        // Nor is `!` a type that a future can be said to have.
        Returned::Never => (body.to_token_stream(), quote_spanned!(Span::mixed_site()=> ; #private::never())),
    };
    quote_spanned! {Span::mixed_site()=>
        #start
        let #future = async move #body;
        match #span {
            ::core::option::Option::None => #future.await,
            ::core::option::Option::Some(#span) => #private::traced(#span, #future, #inspect).await,
        } #end
    }
}

/// The span starts with the call, and goes with what the call returns.
fn run_covered(model: &Model, what: &str) -> TokenStream {
    let private = model.runtime.private();
    let start = start(model, &quote_spanned!(Span::mixed_site()=> __ES_SITE.may_be_on()));
    // Where the type is: two errors in one place are shown as one.
    let place = match &model.returned {
        Returned::Type(ty) => first_span(ty),
        Returned::Opaque(_) | Returned::Never => Span::mixed_site(),
    };
    let (span, inspect, body) = (local("__es_span"), inspect(model, place), &model.body);
    let cover = local(&format!("cover_{what}"));
    let covered = match &model.returned {
        Returned::Type(ty) => {
            let private = model.runtime.private_at(place);
            let boxed = Ident::new(if what == "future" { "BoxedFuture" } else { "BoxedStream" }, place);
            quote_spanned!(place=> #private::#boxed::#cover(#span, move || -> #ty #body, #inspect))
        }
        Returned::Opaque(item) => {
            let item = item.as_ref().map_or_else(|| quote_spanned!(Span::mixed_site()=> _), ToTokens::to_token_stream);
            quote_spanned!(Span::mixed_site()=> #private::#cover::<#item, _, _>(#span, move || #body, #inspect))
        }
        Returned::Never => quote_spanned!(Span::mixed_site()=> (move || -> ! #body)()),
    };
    quote_spanned!(Span::mixed_site()=> #start #covered)
}

/// Whether the type of what `inspect` gets is known where it stands.
fn is_known(returned: &Returned) -> bool {
    matches!(returned, Returned::Type(_) | Returned::Opaque(Some(_)))
}

/// What the returned value leaves on the span.
fn inspect(Model { runtime, returned, record, .. }: &Model, place: Span) -> TokenStream {
    let private = runtime.private();
    let (value, outcome, out) = (local("__es_returned"), local("__es_outcome"), local("__es_attributes"));
    let probe = is_known(returned).then(|| {
        let probes = probes(&private, &["ReturnedDebug", "ReturnedResult", "ReturnedValue"]);
        quote_spanned!(Span::mixed_site()=> { #probes (&&&#private::Returned(#value)).outcome(#outcome); })
    });
    let records = (!record.is_empty()).then(|| {
        // The user's expressions say `result`, so this is the one name that they can see.
        let result = Ident::new("result", Span::call_site());
        let records = record.iter().map(|entry| attribute(&private, &out, entry));
        quote_spanned! {Span::mixed_site()=>
            let (#result, #out) = (#value, &mut #outcome.attributes);
            #(#records)*
        }
    });
    if probe.is_none() && records.is_none() {
        return quote_spanned!(place=> |_, _| ());
    }
    quote_spanned!(place=> |#value, #outcome| { #probe #records })
}
