//! The impl of a projection.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote_spanned};
use syn::{Ident, parse_quote_spanned};

use super::model::{Handler, Model, Step};
use crate::generics::{bound, shared};
use crate::listeners::{Listener, follow};
use crate::names::find;
use crate::output::{block, first_span, local, located};
use crate::paths::Runtime;

/// What several templates need.
struct Names<'a> {
    runtime: &'a Runtime,
    private: TokenStream,
    /// The back end, as the impl names it.
    backend: Ident,
}

pub(super) fn expand(model: &Model) -> TokenStream {
    let Listener { runtime, self_ty, name, span, attributes, .. } = &model.listener;
    // If a transaction determines the back end, errors about it belong there.
    let place = model.transaction.as_ref().map_or_else(Span::mixed_site, first_span);
    let names = Names { runtime, private: runtime.private(), backend: backend_at(place) };
    let Names { private, backend, .. } = &names;
    let (alias, generics) = backend_of(model, &names);
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let enable_tracing = enable_tracing(model);
    let (assertion, events) = model.listener.names(model.handlers.iter().map(|it| (&*it.step.cfgs, &it.event)));
    let setup = model.setup.as_ref().map(|step| slot(&names, step, "setup"));
    let reset = model.reset.as_ref().map(|step| slot(&names, step, "reset"));
    let apply = apply(model, &names);
    let at = runtime.at(place);
    let projection = quote_spanned!(place=> #at::projection::Projection<#backend>);
    let impls = quote_spanned! {Span::mixed_site()=>
        #alias
        #assertion

        #[automatically_derived]
        impl #impl_generics #projection for #self_ty #where_clause {
            fn name(&self) -> &'static ::core::primitive::str {
                #name
            }

            fn span_name(&self) -> &'static ::core::primitive::str {
                #span
            }

            #enable_tracing

            fn event_types(&self) -> #private::Vec<&'static ::core::primitive::str> {
                #private::event_types(#events)
            }

            #setup
            #reset
            #apply
        }
    };
    block(Some(attributes), &impls)
}

/// The name of the back end: an alias if a transaction determines it, otherwise a parameter.
fn backend_of(model: &Model, Names { runtime, backend, .. }: &Names<'_>) -> (TokenStream, syn::Generics) {
    let Listener { generics, self_ty, .. } = &model.listener;
    let mut generics = bound(generics, &shared(first_span(self_ty)));
    if let Some(transaction) = &model.transaction {
        let place = first_span(transaction);
        let at = runtime.at(place);
        let alias = quote_spanned! {place=>
            type #backend = <#transaction as #at::projection::Transaction>::Backend;
        };
        return (alias, generics);
    }
    let handlers = model.handlers.iter().map(|handler| &handler.step);
    let mut steps = handlers.chain(&model.setup).chain(&model.reset);
    let bound = if let Some(word) = steps.find_map(|step| step.asyncness) {
        let place = located(word.span);
        let at = runtime.at(place);
        quote_spanned!(place=> #at::projection::AsyncBackend)
    } else {
        quote_spanned!(Span::mixed_site()=> #runtime::projection::Backend)
    };
    generics.params.push(parse_quote_spanned!(Span::mixed_site()=> #backend: #bound));
    (TokenStream::new(), generics)
}

/// The expression may use `self`, as the user writes it.
fn enable_tracing(Model { listener, .. }: &Model) -> Option<TokenStream> {
    // Another macro may have made the expression.
    let said = find(listener.enable_tracing.to_token_stream(), "self");
    listener.switch(Some(&said.unwrap_or_else(|| Ident::new("self", Span::call_site()))))
}

/// `setup` or `reset`.
fn slot(names: &Names<'_>, step: &Step, name: &str) -> TokenStream {
    let Names { runtime, private, backend } = names;
    let Step { cfgs, method, asyncness, takes_transaction } = step;
    let name = local(name);
    let transaction = local("__es_tx");
    let (bound, given) = if *takes_transaction {
        (transaction.to_token_stream(), quote_spanned!(Span::mixed_site()=> , #transaction))
    } else {
        (quote_spanned!(Span::mixed_site()=> _), TokenStream::new())
    };
    let call = quote_spanned!(located(method.span())=> Self::#method(self #given));
    let run = match asyncness {
        None => quote_spanned! {Span::mixed_site()=>
            <#backend as #runtime::projection::Backend>::ready(#private::IntoStep::into_step(#call))
        },
        Some(word) => {
            let boxed = boxed(names, *word);
            quote_spanned!(located(word.span)=> #boxed(async move { #private::IntoStep::into_step(#call.await) }))
        }
    };
    let (transaction_of, step) = (associated(names, "Transaction"), associated(names, "Step"));
    quote_spanned! {backend.span()=>
        #(#cfgs)*
        fn #name<'__es>(
            &'__es self,
            #bound: &'__es #transaction_of<'_>,
        ) -> #step<'__es> {
            #run
        }
    }
}

/// A type of the back end. Like the back end's name it is placed on the transaction, so that an error about that is
/// reported once.
fn associated(Names { runtime, backend, .. }: &Names<'_>, name: &str) -> TokenStream {
    let place = backend.span();
    let (at, name) = (runtime.at(place), Ident::new(name, place));
    quote_spanned!(place=> <#backend as #at::projection::Backend>::#name)
}

fn backend_at(span: Span) -> Ident {
    Ident::new("__EsBackend", span)
}

/// Boxes a step, on the word `async`: errors belong there if the back end has no futures.
fn boxed(Names { runtime, .. }: &Names<'_>, word: syn::Token![async]) -> TokenStream {
    let place = located(word.span);
    let (at, backend) = (runtime.at(place), backend_at(place));
    quote_spanned!(place=> <#backend as #at::projection::AsyncBackend>::boxed)
}

fn apply(model: &Model, names: &Names<'_>) -> TokenStream {
    let Names { runtime, backend, .. } = names;
    let (stored, transaction) = (local("__es_stored"), local("__es_tx"));
    let arms = model.handlers.iter().map(|handler| arm(names, handler));
    let takes_transaction = model.handlers.iter().any(|handler| handler.step.takes_transaction);
    let bound = if takes_transaction { transaction.to_token_stream() } else { quote_spanned!(Span::mixed_site()=> _) };
    let (transaction_of, step) = (associated(names, "Transaction"), associated(names, "Step"));
    let at = runtime.at(backend.span());
    quote_spanned! {backend.span()=>
        fn apply<'__es>(
            &'__es self,
            #stored: &'__es #at::StoredEvent,
            #bound: &'__es #transaction_of<'_>,
        ) -> #step<'__es> {
            #(#arms)*
            <#backend as #at::projection::Backend>::ready(::core::result::Result::Ok(()))
        }
    }
}

/// Decodes one event and runs its method.
fn arm(names: &Names<'_>, handler: &Handler) -> TokenStream {
    let Names { runtime, private, backend } = names;
    let Handler { step: Step { cfgs, method, asyncness, takes_transaction }, event: ty, name, span } = handler;
    let (stored, follows, error) = (local("__es_stored"), local("__es_follow"), local("__es_error"));
    let event = local("__es_event");
    let transaction = takes_transaction.then(|| {
        let transaction = local("__es_tx");
        quote_spanned!(Span::mixed_site()=> , #transaction)
    });
    let place = located(method.span());
    let at = runtime.private_at(place);
    let call = quote_spanned!(place=> Self::#method(self, &#event #transaction));
    let handler = quote_spanned!(Span::mixed_site()=> &#private::Handler { span: #span, method: #name });
    let taken = if asyncness.is_some() {
        quote_spanned!(place=> #at::Follow::handle_async(&#follows, &#event, #handler, #call).await)
    } else {
        quote_spanned!(place=> #at::Follow::handle(&#follows, &#event, #handler, || #call))
    };
    let step = quote_spanned! {Span::mixed_site()=>
        match #private::Follow::decode(&#follows, #stored) {
            ::core::result::Result::Ok(#event) => #taken,
            ::core::result::Result::Err(#error) => ::core::result::Result::Err(#error),
        }
    };
    let run = match asyncness {
        None => quote_spanned!(Span::mixed_site()=> <#backend as #runtime::projection::Backend>::ready(#step)),
        Some(word) => {
            let boxed = boxed(names, *word);
            quote_spanned!(located(word.span)=> #boxed(async move { #step }))
        }
    };
    let follow = follow(runtime, ty);
    quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        {
            let #follows = #follow;
            if #private::Follow::is(&#follows, #stored) {
                return #run;
            }
        }
    }
}
