//! The body in its span. Two statements: the first borrows the arguments for the attributes, the second may move them.

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Expr, Ident, Token, Type};

use super::attributes::{each, values, values_of};
use super::covers::{Covers, is_seen, may_be_future};
use super::model::{Model, Returned, has_inferred};
use super::start::{options, owner, site, start_where, start_where_may_be_on};
use super::{arguments, owned};
use crate::output::{behind, dead, first_span, future_lints, like, local, located, placed, probe, tail_spans, within};
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

/// Whether the options fit into the call of one function.
fn is_short(model: &Model, returned: &Type) -> bool {
    model.record.is_empty()
        && model.enable_tracing.is_none()
        && options(model).is_empty()
        && !has_inferred(returned)
        && arguments::are_copied(&model.function.sig)
}

/// Leaves the body to the function, with a guard that ends the span.
fn run_held(model: &Model) -> TokenStream {
    let private = model.runtime.private();
    let (start, body) = (start_where_may_be_on(model), within(&model.body));
    let (held, span) = (local("__es_held"), local("__es_span"));
    quote_spanned!(Span::mixed_site()=> #start let #held = #private::held(#span); #body)
}

/// Puts the body into a closure, which runs out of line if spans may be on, so that nothing of it remains while they
/// are off. All arguments are copied: this closure has its own, as has that of the attributes.
fn run_copied(model: &Model, ty: &Type) -> TokenStream {
    let private = model.runtime.private();
    let owns = Some(Token![move](Span::mixed_site()));
    let (own, value, body) = (local("__es_body"), local("__es_returned"), &model.body);
    let (owner, values) = (owner(model), values(&model.runtime, owns, &model.attributes));
    let (checks, by) = (model.sensitive(), by_type(model, ty));
    // Borrows a copy of the body: a borrowed value must be in memory, even while spans are off.
    let run = quote_spanned!(Span::mixed_site()=> #private::run(&__ES_SITE, #owner, #values, &{ #own }, #by));
    // After the expressions that they check, as elsewhere.
    let run =
        if checks.is_empty() { run } else { quote_spanned!(Span::mixed_site()=> let #value = #run; #checks #value) };
    let (bars, arrow) = (bars(body, true), arrow(model));
    let choice = choice(model, &run, quote_spanned!(Span::mixed_site()=> #own()));
    quote_spanned! {Span::mixed_site()=>
        let #own = #private::once::<#ty, _>(#bars #arrow #body);
        #choice
    }
}

/// The choice of what the function returns, placed on what the body does: errors about it belong there.
fn choice(model: &Model, on: &TokenStream, off: TokenStream) -> TokenStream {
    let private = model.runtime.private();
    let (first, last) = tail_spans(&model.body);
    let (word, off) = (Token![if](first), placed(last, Delimiter::Brace, off));
    quote_spanned!(Span::mixed_site()=> #word #private::Site::may_be_on(&__ES_SITE) { #on } else #off)
}

/// The call of a function of the runtime's, from one place to another.
fn called(model: &Model, (first, last): (Span, Span), function: &TokenStream, given: TokenStream) -> TokenStream {
    let (private, given) = (model.runtime.private_at(first), placed(last, Delimiter::Parenthesis, given));
    quote_spanned!(first=> #private::#function #given)
}

/// The empty arguments of the closure that is the body, placed on the user's braces: the compiler does not name the
/// variables that a closure of another crate's macro uses.
fn bars(body: &Group, is_move: bool) -> TokenStream {
    let owns = is_move.then(|| Token![move](body.span()));
    quote_spanned!(body.span()=> #owns ||)
}

/// The return type of a closure.
fn arrow(model: &Model) -> TokenStream {
    match &model.returned {
        // Clippy lints a written type as it does a function's, even if a trait requires that type. Its lints on
        // closures are still reported at the type.
        Returned::Type(ty) => quote_spanned!(first_span(ty)=> -> _),
        Returned::Never => quote_spanned!(model.function.returned().map_or_else(Span::mixed_site, first_span)=> -> !),
        // `impl Trait` cannot be written here, and need not be.
        Returned::Opaque(_) => TokenStream::new(),
    }
}

/// Puts everything into a closure that owns the arguments and runs out of line if spans may be on, so that nothing of
/// it remains while they are off.
fn run_sync(model: &Model) -> TokenStream {
    let private = model.runtime.private();
    let (call, on, once) = (local("__es_call"), local("__es_on"), local("__es_once"));
    let (start, arrow) = (start_where(model, &on.to_token_stream()), arrow(model));
    // Arguments that `record(..)` names are lent to the body.
    let is_lent = arguments::are_recorded(&model.function.sig, &model.record);
    let run =
        if is_lent && arguments::are_owned(&model.function.sig) { run_around(model) } else { run_in(model, !is_lent) };
    let (first, last) = tail_spans(&model.body);
    let apart = called(model, (first, last), &local("apart").into_token_stream(), call.to_token_stream());
    // In parentheses: an editor that looks at a name of the user's must not find ours there.
    let (place, off) = (placed(first, Delimiter::Parenthesis, call.to_token_stream()), quote_spanned!(last=> (false)));
    let choice = choice(model, &apart, quote_spanned!(first=> #place #off));
    quote_spanned! {Span::mixed_site()=>
        let #once = #private::Once;
        let #call = move |#on: ::core::primitive::bool| #arrow {
            let _ = { #once };
            #start
            #run
        };
        #choice
    }
}

fn run_in(model: &Model, is_move: bool) -> TokenStream {
    let private = model.runtime.private();
    let (own, span, value) = (local("__es_body"), local("__es_span"), local("__es_returned"));
    let body = once(model, is_move, &preceded(order(model).as_ref(), &model.body));
    let ended = if matches!(model.returned, Returned::Never) {
        // It can only panic, and dropping it records that.
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

/// Puts the body and `record(..)` into a closure that owns the arguments, so that they drop before the span ends.
fn run_around(model: &Model) -> TokenStream {
    let private = model.runtime.private();
    let (own, span, value) = (local("__es_body"), local("__es_span"), local("__es_returned"));
    let (order, body) = (order(model), once(model, false, &model.body));
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
fn once(model: &Model, is_move: bool, body: &impl ToTokens) -> TokenStream {
    let (private, bars, arrow) = (model.runtime.private(), bars(&model.body, is_move), arrow(model));
    let ty = match &model.returned {
        Returned::Type(ty) => Some(quote_spanned!(Span::mixed_site()=> ::<#ty, _>)),
        Returned::Opaque(_) | Returned::Never => None,
    };
    quote_spanned!(Span::mixed_site()=> #private::once #ty(#bars #arrow #body))
}

/// Makes the body's closure capture what it owns in drop order; `None` if it owns nothing.
fn order(model: &Model) -> Option<TokenStream> {
    let named = dead(&owned::arguments(&model.function.sig, &model.body))?;
    Some(quote_spanned!(Span::mixed_site()=> if false { #named }))
}

fn preceded(statement: Option<&TokenStream>, body: &Group) -> TokenStream {
    statement.map_or_else(|| body.clone(), |statement| behind(body, statement)).into_token_stream()
}

fn run_async(model: &Model) -> TokenStream {
    let private = model.runtime.private();
    let body = &model.body;
    let body = match &model.returned {
        // A block cannot state its type, and without one its last expression is not coerced.
        Returned::Type(ty) => {
            let never = quote_spanned!(Span::mixed_site()=> #private::never::<#ty>());
            let order = dead(&owned::arguments(&model.function.sig, body));
            preceded(Some(&quote_spanned!(Span::mixed_site()=> if false { #order return #never; })), body)
        }
        Returned::Never | Returned::Opaque(_) => preceded(order(model).as_ref(), body),
    };
    let start = start_where_may_be_on(model);
    // In the user's braces, as `bars` are.
    let body = quote_spanned!(model.body.span()=> async move #body);
    let is_never = matches!(model.returned, Returned::Never);
    let body = if is_never { quote_spanned!(Span::mixed_site()=> #private::unending(#body)) } else { body };
    let (own, span) = (local("__es_body"), local("__es_span"));
    let (by, traced) = match &model.returned {
        // Before the span: a call after it would need unwinding code.
        Returned::Type(ty) if model.record.is_empty() && !has_inferred(ty) => {
            let (by, told) = (local("__es_by"), by_type(model, ty));
            let by_this = quote_spanned!(Span::mixed_site()=> let #by = #told;);
            (Some(by_this), quote_spanned!(Span::mixed_site()=> #private::traced(#span, #own, #by)))
        }
        _ => {
            let tell = tell(model, Span::mixed_site());
            (None, quote_spanned!(Span::mixed_site()=> #private::traced_by(#span, #own, #tell)))
        }
    };
    let lints = may_be_future(&model.function.sig).then(future_lints);
    // Moved as a whole in each arm: a remainder would be kept across the await of the body.
    quote_spanned! {Span::mixed_site()=>
        #by
        #start
        #lints
        let #own = #body;
        match #span {
            ::core::option::Option::None => {
                #private::forget(#span);
                #own.await
            }
            ::core::option::Option::Some(_) => #traced.await,
        }
    }
}

/// The statement that records `record(..)` on the span of a plain function.
fn records(Model { runtime, record, .. }: &Model, span: &TokenStream) -> Option<TokenStream> {
    let (private, value) = (runtime.private(), local("__es_returned"));
    let keys = record.iter().map(|entry| &entry.key);
    let values = values_of(runtime, &quote_spanned!(Span::mixed_site()=> &#value), record);
    let records = quote_spanned!(Span::mixed_site()=> #private::Running::record(#span, &[#(#keys),*], #values););
    (!record.is_empty()).then_some(records)
}

/// The statement that ends the span of a plain function with the outcome of its value.
fn end(model: &Model) -> TokenStream {
    let private = model.runtime.private();
    let (value, span) = (local("__es_returned"), local("__es_span"));
    // Before the value is moved.
    let (by, told) = (local("__es_by"), by_value(model, &quote_spanned!(Span::mixed_site()=> &#value)));
    quote_spanned!(Span::mixed_site()=> let #by = #told; #private::Running::end(#span, #value, #by))
}

/// The expression that finds out whether a value of a type is an error.
fn by_type(model: &Model, ty: &Type) -> TokenStream {
    let told = local("told");
    by(model, |private, place| quote_spanned!(place=> #private::#told::<#ty>()))
}

/// The same for the type of a value, which may differ in part from the written one; `NoResult` if its type is unknown.
fn by_value(model: &Model, value: &TokenStream) -> TokenStream {
    let private = model.runtime.private();
    match &model.returned {
        Returned::Type(_) | Returned::Opaque(Some(_)) => by(model, |private, place| told_of(private, place, value)),
        Returned::Opaque(None) | Returned::Never => quote_spanned!(Span::mixed_site()=> #private::NoResult),
    }
}

pub(super) fn told_of(private: &TokenStream, place: Span, value: &impl ToTokens) -> TokenStream {
    let told = local("told_of");
    quote_spanned!(place=> #private::#told(#value))
}

fn by(model: &Model, told: impl Fn(&TokenStream, Span) -> TokenStream) -> TokenStream {
    let private = model.runtime.private();
    let (probe, value) = (probe(&private, "told"), told(&private, Span::mixed_site()));
    let by = quote_spanned!(Span::mixed_site()=> { #probe #value.__es_by() });
    match &model.fault {
        None => by,
        Some(fault) => with_fault(model, fault, told, &by),
    }
}

/// The expression that finds out the same with `fault`, all at its place: there the compiler says what is wrong, once.
pub(super) fn with_fault(
    model: &Model,
    fault: &Expr,
    told: impl Fn(&TokenStream, Span) -> TokenStream,
    by: &TokenStream,
) -> TokenStream {
    let place = located(first_span(fault));
    let (private, error, faults) = (model.runtime.private_at(place), Ident::new("__es_error", place), local("faults"));
    let is_fault = match fault {
        // Not the path itself: a call takes what derefs to the argument, too.
        Expr::Path(path) => quote_spanned!(place=> |#error| #path(#error)),
        closure => closure.to_token_stream(),
    };
    let told = told(&private, place);
    quote_spanned!(place=> #private::#faults(#told, #by, #is_fault))
}

/// Starts the span with the call, and attaches it to what the call returns.
fn run_covered(model: &Model, what: &str) -> TokenStream {
    let start = start_where_may_be_on(model);
    let (first, last) = match &model.returned {
        // It is at fault itself if it cannot be covered: two errors in one place are shown as one.
        Returned::Type(ty) if !is_seen(ty) => (first_span(ty), first_span(ty)),
        _ => tail_spans(&model.body),
    };
    let (span, tell, body) = (local("__es_span"), tell(model, first), preceded(order(model).as_ref(), &model.body));
    let cover = local(&format!("cover_{what}"));
    let (function, body) = match &model.returned {
        Returned::Type(ty) => {
            let boxed = local(if what == "future" { "BoxedFuture" } else { "BoxedStream" });
            (quote_spanned!(first=> #boxed::#cover), quote_spanned!(first=> move || -> #ty #body))
        }
        Returned::Opaque(item) => {
            let item = item.as_ref().map_or_else(|| quote_spanned!(Span::mixed_site()=> _), ToTokens::to_token_stream);
            (quote_spanned!(first=> #cover::<#item, _, _>), quote_spanned!(Span::mixed_site()=> move || #body))
        }
        Returned::Never => return quote_spanned!(Span::mixed_site()=> (move || -> ! #body)()),
    };
    let covered = called(model, (first, last), &function, quote_spanned!(first=> #span, #body, #tell));
    quote_spanned!(Span::mixed_site()=> #start #covered)
}

/// A closure that finds out what to record of the value that is returned, or that the future or stream yields.
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
        let records = each(&private, &out, record, &values_of(runtime, &value.to_token_stream(), record));
        quote_spanned!(Span::mixed_site()=> let #out = &mut #outcome.attributes; #records)
    });
    match (probe, records) {
        (None, None) => quote_spanned!(place=> |_, _| ()),
        (Some(probe), None) => quote_spanned!(place=> |#value, #outcome| { #probe }),
        // The user's expressions must not see the probe's names.
        (Some(probe), records) => quote_spanned!(place=> |#value, #outcome| { { #probe } #records }),
        (None, records) => quote_spanned!(place=> |#value, #outcome| { #records }),
    }
}
