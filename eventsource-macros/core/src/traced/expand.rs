//! The body in its span. Two statements: the first borrows the arguments for the attributes, the second may move them.

use proc_macro2::{Group, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Ident, Token, Type};

use super::attributes::{constant, each, values, values_of};
use super::covers::{Covers, may_be_future};
use super::model::{Model, Parent, Returned, has_inferred};
use super::{arguments, owned};
use crate::output::{borrowed, dead, first_span, future_lints, like, local, probe, within};
use crate::signature::Function;

pub(super) fn expand(model: &Model) -> TokenStream {
    let Function { attrs, vis, sig, .. } = &model.function;
    let site = site(model);
    let run = match model.covers {
        Covers::Call if sig.asyncness.is_some() => run_async(model),
        Covers::Call if model.is_held => run_held(model),
        Covers::Call => match &model.returned {
            Returned::Type(ty) if is_short(model, ty) => run_copied(model, ty),
            _ => run_sync(model),
        },
        Covers::Future => run_covered(model, "future"),
        Covers::Stream => run_covered(model, "stream"),
    };
    let body = like(&model.body, quote!(#site #run));
    quote!(#(#attrs)* #vis #sig #body)
}

/// Whether nothing is said that a call of one function cannot take.
fn is_short(model: &Model, returned: &Type) -> bool {
    model.record.is_empty()
        && model.enable_tracing.is_none()
        && options(model).is_empty()
        && !has_inferred(returned)
        && arguments::are_copied(&model.function.sig)
}

fn site(Model { runtime, name, kind, constants, attributes, .. }: &Model) -> TokenStream {
    let private = runtime.private();
    let constants = constants.iter().map(|(key, literal)| constant(&private, key, literal));
    let keys = attributes.iter().map(|entry| &entry.key);
    quote_spanned! {Span::mixed_site()=>
        static __ES_SITE: #private::Site =
            #private::Site::new(#name, #private::Kind::#kind, &[#(#constants),*], &[#(#keys),*]);
    }
}

/// The statement that starts the span, if `on` says so.
fn start_where(model: &Model, on: &TokenStream) -> TokenStream {
    let (span, start) = (local("__es_span"), start(model));
    // Behind the expressions that they check: of a name that is being written, an editor looks at its first use.
    let checks = model.sensitive();
    quote_spanned! {Span::mixed_site()=>
        let #span = if #on { #start } else { ::core::option::Option::None };
        #checks
    }
}

fn start_where_may_be_on(model: &Model) -> TokenStream {
    let private = model.runtime.private();
    start_where(model, &quote_spanned!(Span::mixed_site()=> #private::Site::may_be_on(&__ES_SITE)))
}

fn start(model: &Model) -> TokenStream {
    let private = model.runtime.private();
    let Some(enabled) = &model.enable_tracing else { return start_enabled(model) };
    let (muted, switch, start) = (local("__es_muted"), local("__es_enabled"), start_enabled(model));
    let owns = owns(model);
    // In a `let`, where another macro's block may stand before an operator, and a wrong type is told at the expression.
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
    let values = values(&private, owns, &model.attributes);
    let options = options(model);
    if options.is_empty() {
        let owner = owner(model);
        quote_spanned!(Span::mixed_site()=> #private::start(&__ES_SITE, #owner, #values))
    } else {
        let out = local("__es_options");
        quote_spanned!(Span::mixed_site()=> #private::start_with(&__ES_SITE, &#owns |#out| { #options }, #values))
    }
}

fn owner(model: &Model) -> TokenStream {
    if model.owner {
        // In a block: of a bare path clippy takes it that the function changes what others see.
        quote_spanned!(Span::mixed_site()=> ::core::option::Option::Some({ ::core::any::type_name::<Self> }))
    } else {
        quote_spanned!(Span::mixed_site()=> ::core::option::Option::None)
    }
}

/// `move`, for closures that would borrow the arguments of an `async fn`, where they can have their own: what is
/// borrowed is kept in the future.
fn owns(Model { function: Function { sig, .. }, .. }: &Model) -> Option<Token![move]> {
    (sig.asyncness.is_some() && arguments::are_copied(sig)).then(|| Token![move](Span::mixed_site()))
}

/// The calls that set the options; nothing where there are none beside the owner.
fn options(Model { runtime, owner, parent, links, .. }: &Model) -> TokenStream {
    let private = runtime.private();
    let options = local("__es_options");
    let mut calls = TokenStream::new();
    // A panic in an expression costs that option alone.
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
        // Behind the parent, by which it is known whether there is a span.
        calls.extend(guarded("with_links", set));
    }
    if *owner && !calls.is_empty() {
        calls.extend(quote_spanned! {Span::mixed_site()=>
            #private::Options::owner(#options, ::core::any::type_name::<Self>());
        });
    }
    calls
}

/// The body stays the function's, beside what ends the span when it has left.
fn run_held(model: &Model) -> TokenStream {
    let private = model.runtime.private();
    let (start, body) = (start_where_may_be_on(model), within(&model.body));
    let (held, span) = (local("__es_held"), local("__es_span"));
    quote_spanned!(Span::mixed_site()=> #start let #held = #private::held(#span); #body)
}

/// The body stands in a closure, which runs out of line where spans may be on: so that where they are off nothing is
/// left of that. All arguments are copied: this closure has its own, and so has the one of the attributes.
fn run_copied(model: &Model, ty: &Type) -> TokenStream {
    let private = model.runtime.private();
    let owns = Some(Token![move](Span::mixed_site()));
    let (own, value, body) = (local("__es_body"), local("__es_returned"), &model.body);
    let (owner, values) = (owner(model), values(&private, owns, &model.attributes));
    let (checks, by) = (model.sensitive(), by_type(&private, ty));
    // The body lends a copy of itself: what is lent has to stand in memory, also where spans are off.
    let run = quote_spanned!(Span::mixed_site()=> #private::run(&__ES_SITE, #owner, #values, &{ #own }, #by));
    // Behind the expressions that they check, as elsewhere.
    let run =
        if checks.is_empty() { run } else { quote_spanned!(Span::mixed_site()=> let #value = #run; #checks #value) };
    let arrow = arrow(&model.returned);
    quote_spanned! {Span::mixed_site()=>
        let #own = #private::once::<#ty, _>(move || #arrow #body);
        if #private::Site::may_be_on(&__ES_SITE) { #run } else { #own() }
    }
}

/// What a closure says of what it returns.
fn arrow(returned: &Returned) -> TokenStream {
    match returned {
        // Of a written type clippy asks what it asks of a function's, also where a trait asks for that type. What it
        // asks of every closure it still says at the type.
        Returned::Type(ty) => quote_spanned!(first_span(ty)=> -> _),
        Returned::Never => quote_spanned!(Span::mixed_site()=> -> !),
        // What is `impl Trait` cannot be said; without a type the body needs none.
        Returned::Opaque(_) => TokenStream::new(),
    }
}

/// All of it stands in a closure that owns the arguments, which runs out of line where spans may be on: so that where
/// they are off nothing is left of it.
fn run_sync(model: &Model) -> TokenStream {
    let private = model.runtime.private();
    let (call, on, once) = (local("__es_call"), local("__es_on"), local("__es_once"));
    let (start, arrow) = (start_where(model, &on.to_token_stream()), arrow(&model.returned));
    // What the expressions of `record(..)` name is lent to the body.
    let is_lent = arguments::are_recorded(&model.function.sig, &model.record);
    let owns = (!is_lent).then(|| Token![move](Span::mixed_site()));
    let run =
        if is_lent && arguments::are_owned(&model.function.sig) { run_around(model) } else { run_in(model, owns) };
    quote_spanned! {Span::mixed_site()=>
        let #once = #private::Once;
        let #call = move |#on: ::core::primitive::bool| #arrow {
            let _ = { #once };
            #start
            #run
        };
        if #private::Site::may_be_on(&__ES_SITE) { #private::apart(#call) } else { #call(false) }
    }
}

fn run_in(model: &Model, owns: Option<Token![move]>) -> TokenStream {
    let private = model.runtime.private();
    let (own, span, value) = (local("__es_body"), local("__es_span"), local("__es_returned"));
    let body = once(model, owns, &preceded(order(model).as_ref(), &model.body));
    let ended = if matches!(model.returned, Returned::Never) {
        // What is told of one is that it panicked, and its being dropped tells it.
        quote_spanned!(Span::mixed_site()=> #own())
    } else {
        let (records, end) = (records(model, &quote_spanned!(Span::mixed_site()=> &#span)), end(model));
        quote_spanned!(Span::mixed_site()=> let #value = #own(); #records #end)
    };
    quote_spanned! {Span::mixed_site()=>
        let #own = #body;
        let #span = #private::Running::new(#span);
        #ended
    }
}

/// A closure around the body and `record(..)` owns the arguments, so that they are dropped before the span ends.
fn run_around(model: &Model) -> TokenStream {
    let private = model.runtime.private();
    let (own, span, value) = (local("__es_body"), local("__es_span"), local("__es_returned"));
    let (order, body) = (order(model), once(model, None, &model.body));
    let (records, end) = (records(model, &span.to_token_stream()), end(model));
    quote_spanned! {Span::mixed_site()=>
        let #span = #private::Running::new(#span);
        let #value = {
            let #span = &#span;
            #private::once(move || { #order let #own = #body; let #value = #own(); #records #value })()
        };
        #end
    }
}

/// The body in a closure that is called once.
fn once(model: &Model, owns: Option<Token![move]>, body: &impl ToTokens) -> TokenStream {
    let (private, arrow) = (model.runtime.private(), arrow(&model.returned));
    let ty = match &model.returned {
        Returned::Type(ty) => Some(quote_spanned!(Span::mixed_site()=> ::<#ty, _>)),
        Returned::Opaque(_) | Returned::Never => None,
    };
    quote_spanned!(Span::mixed_site()=> #private::once #ty(#owns || #arrow #body))
}

/// Has the body's closure catch what it owns in the order in which that is dropped; nothing where there is none.
fn order(model: &Model) -> Option<TokenStream> {
    let named = dead(&owned::arguments(&model.function.sig, &model.body))?;
    Some(quote_spanned!(Span::mixed_site()=> if false { #named }))
}

fn preceded(statement: Option<&TokenStream>, body: &Group) -> TokenStream {
    let Some(statement) = statement else { return body.to_token_stream() };
    let within = within(body);
    like(body, quote_spanned!(Span::mixed_site()=> #statement #within)).into_token_stream()
}

fn run_async(model: &Model) -> TokenStream {
    let private = model.runtime.private();
    let body = &model.body;
    let body = match &model.returned {
        // A block has no place for its type, and without one its last expression is not coerced.
        Returned::Type(ty) => {
            let never = quote_spanned!(Span::mixed_site()=> #private::never::<#ty>());
            let (body, order) = (within(body), dead(&owned::arguments(&model.function.sig, body)));
            quote_spanned!(Span::mixed_site()=> { if false { #order return #never; } #body })
        }
        // Nor is `!` a type that a future can be said to have.
        Returned::Opaque(_) | Returned::Never => preceded(order(model).as_ref(), body),
    };
    let start = start_where_may_be_on(model);
    let body = quote_spanned!(Span::mixed_site()=> async move #body);
    let (own, span) = (local("__es_body"), local("__es_span"));
    let (by, traced) = match &model.returned {
        // Before the span: a call behind it would have to be cleaned up after.
        Returned::Type(ty) if model.record.is_empty() && !has_inferred(ty) => {
            let (by, told) = (local("__es_by"), by_type(&private, ty));
            let by_this = quote_spanned!(Span::mixed_site()=> let #by = #told;);
            (Some(by_this), quote_spanned!(Span::mixed_site()=> #private::traced(#span, #own, #by)))
        }
        _ => {
            let tell = tell(model, Span::mixed_site());
            (None, quote_spanned!(Span::mixed_site()=> #private::traced_by(#span, #own, #tell)))
        }
    };
    let lints = may_be_future(&model.function.sig).then(future_lints);
    let end =
        matches!(model.returned, Returned::Never).then(|| quote_spanned!(Span::mixed_site()=> ; #private::never()));
    // Moved as a whole in each arm: what is left of it would be kept where the body is awaited.
    quote_spanned! {Span::mixed_site()=>
        #by
        #start
        #lints
        let #own = #body;
        match #span {
            ::core::option::Option::None => {
                ::core::mem::forget(#span);
                #own.await
            }
            ::core::option::Option::Some(_) => #traced.await,
        }
        #end
    }
}

/// What `record(..)` leaves on the span of a plain function.
fn records(Model { runtime, record, .. }: &Model, span: &TokenStream) -> Option<TokenStream> {
    let (private, value) = (runtime.private(), local("__es_returned"));
    let keys = record.iter().map(|entry| &entry.key);
    let values = values_of(&private, &quote_spanned!(Span::mixed_site()=> &#value), record);
    let records = quote_spanned!(Span::mixed_site()=> #private::Running::record(#span, &[#(#keys),*], #values););
    (!record.is_empty()).then_some(records)
}

/// What the value leaves on the span of a plain function, which ends.
fn end(model: &Model) -> TokenStream {
    let private = model.runtime.private();
    let (value, span) = (local("__es_returned"), local("__es_span"));
    // Before the value is moved.
    let (by, told) = (local("__es_by"), by_value(model, &quote_spanned!(Span::mixed_site()=> &#value)));
    quote_spanned!(Span::mixed_site()=> let #by = #told; #private::Running::end(#span, #value, #by))
}

/// What finds out whether a value of a type is an error.
fn by_type(private: &TokenStream, ty: &Type) -> TokenStream {
    let probe = probe(private, "told");
    quote_spanned!(Span::mixed_site()=> { #probe #private::told::<#ty>().__es_by() })
}

/// The same for the type of a value, of which a part may not be what is written; nothing is found out where nothing
/// can.
fn by_value(Model { runtime, returned, .. }: &Model, value: &TokenStream) -> TokenStream {
    let private = runtime.private();
    match returned {
        Returned::Type(_) | Returned::Opaque(Some(_)) => {
            let probe = probe(&private, "told");
            quote_spanned!(Span::mixed_site()=> { #probe #private::told_of(#value).__es_by() })
        }
        Returned::Opaque(None) | Returned::Never => quote_spanned!(Span::mixed_site()=> #private::NoResult),
    }
}

/// The span starts with the call, and goes with what the call returns.
fn run_covered(model: &Model, what: &str) -> TokenStream {
    let private = model.runtime.private();
    let start = start_where_may_be_on(model);
    // Where the type is: two errors in one place are shown as one.
    let place = match &model.returned {
        Returned::Type(ty) => first_span(ty),
        Returned::Opaque(_) | Returned::Never => Span::mixed_site(),
    };
    let (span, tell, body) = (local("__es_span"), tell(model, place), preceded(order(model).as_ref(), &model.body));
    let cover = local(&format!("cover_{what}"));
    let covered = match &model.returned {
        Returned::Type(ty) => {
            let private = model.runtime.private_at(place);
            let boxed = Ident::new(if what == "future" { "BoxedFuture" } else { "BoxedStream" }, place);
            quote_spanned!(place=> #private::#boxed::#cover(#span, move || -> #ty #body, #tell))
        }
        Returned::Opaque(item) => {
            let item = item.as_ref().map_or_else(|| quote_spanned!(Span::mixed_site()=> _), ToTokens::to_token_stream);
            quote_spanned!(Span::mixed_site()=> #private::#cover::<#item, _, _>(#span, move || #body, #tell))
        }
        Returned::Never => quote_spanned!(Span::mixed_site()=> (move || -> ! #body)()),
    };
    quote_spanned!(Span::mixed_site()=> #start #covered)
}

/// A function that finds out what there is to tell of the value that is returned, or that the future or the stream
/// yields.
fn tell(model: &Model, place: Span) -> TokenStream {
    let Model { runtime, returned, record, .. } = model;
    let private = runtime.private();
    let (value, outcome, out) = (local("__es_returned"), local("__es_outcome"), local("__es_attributes"));
    let is_known = matches!(returned, Returned::Type(_) | Returned::Opaque(Some(_)));
    let probe = is_known.then(|| {
        let by = by_value(model, &value.to_token_stream());
        quote_spanned!(Span::mixed_site()=> #private::Teller::tell(&mut #by, #value, #outcome);)
    });
    let records = (!record.is_empty()).then(|| {
        let records = each(&private, &out, record, &values_of(&private, &value.to_token_stream(), record));
        quote_spanned!(Span::mixed_site()=> let #out = &mut #outcome.attributes; #records)
    });
    match (probe, records) {
        (None, None) => quote_spanned!(place=> |_, _| ()),
        (Some(probe), None) => quote_spanned!(place=> |#value, #outcome| { #probe }),
        // Their names are not for the user's expressions.
        (Some(probe), records) => quote_spanned!(place=> |#value, #outcome| { { #probe } #records }),
        (None, records) => quote_spanned!(place=> |#value, #outcome| { #records }),
    }
}
