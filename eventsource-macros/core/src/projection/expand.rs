//! The impl of a projection.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote_spanned};
use syn::parse_quote_spanned;

use super::model::{Handler, Model, Step};
use crate::output::{block, first_span, local, located};
use crate::paths::Runtime;

/// What several templates need.
struct Names {
    runtime: Runtime,
    private: TokenStream,
    /// The back end, as the impl names it.
    backend: TokenStream,
}

pub(super) fn expand(model: &Model) -> TokenStream {
    let runtime = model.runtime.clone();
    let private = runtime.private();
    let backend = quote_spanned!(Span::mixed_site()=> __EsBackend);
    let names = Names { runtime, private, backend };
    let Names { runtime, private, backend } = &names;
    let Model { self_ty, name, span, .. } = model;
    let (alias, generics) = backend_of(model, &names);
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let enable_tracing = enable_tracing(model);
    let events = model.handlers.iter().map(|Handler { step: Step { cfgs, .. }, event, .. }| {
        quote_spanned! {first_span(event)=>
            #(#cfgs)*
            (<#event as #runtime::Event>::NAME, <#event as #runtime::Event>::ALIASES)
        }
    });
    let setup = model.setup.as_ref().map(|step| slot(&names, step, "setup"));
    let reset = model.reset.as_ref().map(|step| slot(&names, step, "reset"));
    let apply = apply(model, &names);
    block(&quote_spanned! {Span::mixed_site()=>
        #alias

        #[automatically_derived]
        impl #impl_generics #runtime::projection::Projection<#backend> for #self_ty #where_clause {
            fn name(&self) -> &'static str {
                #name
            }

            fn span_name(&self) -> &'static str {
                #span
            }

            #enable_tracing

            fn event_types(&self) -> ::std::vec::Vec<&'static str> {
                #private::event_types(&[#(#events),*])
            }

            #setup
            #reset
            #apply
        }
    })
}

/// How the back end is named: an alias where a transaction tells it, a parameter where none does.
fn backend_of(model: &Model, Names { runtime, backend, .. }: &Names) -> (TokenStream, syn::Generics) {
    let mut generics = model.generics.clone();
    if let Some(transaction) = &model.transaction {
        let alias = quote_spanned! {first_span(transaction)=>
            type #backend = <#transaction as #runtime::projection::Transaction>::Backend;
        };
        return (alias, generics);
    }
    let handlers = model.handlers.iter().map(|handler| &handler.step);
    let mut steps = handlers.chain(&model.setup).chain(&model.reset);
    let bound = match steps.find_map(|step| step.asyncness) {
        Some(word) => quote_spanned!(located(word.span)=> #runtime::projection::AsyncBackend),
        None => quote_spanned!(Span::mixed_site()=> #runtime::projection::Backend),
    };
    generics.params.push(parse_quote_spanned!(Span::mixed_site()=> #backend: #bound));
    (TokenStream::new(), generics)
}

/// The expression may use `self`, as the user writes it.
fn enable_tracing(model: &Model) -> Option<TokenStream> {
    model.enable_tracing.as_ref().map(|enabled| {
        let this = syn::Ident::new("self", Span::call_site());
        quote_spanned! {Span::mixed_site()=>
            fn enable_tracing(&#this) -> ::core::option::Option<bool> {
                ::core::option::Option::Some(#enabled)
            }
        }
    })
}

/// `setup` or `reset`.
fn slot(Names { runtime, private, backend }: &Names, step: &Step, name: &str) -> TokenStream {
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
            let boxed = quote_spanned!(located(word.span)=> <#backend as #runtime::projection::AsyncBackend>::boxed);
            quote_spanned!(Span::mixed_site()=> #boxed(async move { #private::IntoStep::into_step(#call.await) }))
        }
    };
    quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        fn #name<'__es>(
            &'__es self,
            #bound: &'__es <#backend as #runtime::projection::Backend>::Transaction<'_>,
        ) -> <#backend as #runtime::projection::Backend>::Step<'__es> {
            #run
        }
    }
}

fn apply(model: &Model, names: &Names) -> TokenStream {
    let Names { runtime, backend, .. } = names;
    let (stored, transaction) = (local("__es_stored"), local("__es_tx"));
    let arms = model.handlers.iter().map(|handler| arm(names, handler));
    let takes_transaction = model.handlers.iter().any(|handler| handler.step.takes_transaction);
    let bound = if takes_transaction { transaction.to_token_stream() } else { quote_spanned!(Span::mixed_site()=> _) };
    quote_spanned! {Span::mixed_site()=>
        fn apply<'__es>(
            &'__es self,
            #stored: &'__es #runtime::StoredEvent,
            #bound: &'__es <#backend as #runtime::projection::Backend>::Transaction<'_>,
        ) -> <#backend as #runtime::projection::Backend>::Step<'__es> {
            #(#arms)*
            <#backend as #runtime::projection::Backend>::ready(::core::result::Result::Ok(()))
        }
    }
}

/// Decodes one event and runs its method.
fn arm(Names { runtime, private, backend }: &Names, handler: &Handler) -> TokenStream {
    let Handler { step: Step { cfgs, method, asyncness, takes_transaction }, event: ty, name, span } = handler;
    let (stored, event, error) = (local("__es_stored"), local("__es_event"), local("__es_error"));
    let transaction = takes_transaction.then(|| {
        let transaction = local("__es_tx");
        quote_spanned!(Span::mixed_site()=> , #transaction)
    });
    let call = quote_spanned!(located(method.span())=> Self::#method(self, &#event #transaction));
    let handler = quote_spanned!(Span::mixed_site()=> &#private::Handler { span: #span, method: #name });
    let handled = match asyncness {
        None => quote_spanned!(located(method.span())=> #private::handle(&#event, #handler, || #call)),
        Some(_) => quote_spanned!(located(method.span())=> #private::handle_async(&#event, #handler, #call).await),
    };
    let step = quote_spanned! {Span::mixed_site()=>
        match #private::decode::<#ty>(#stored) {
            ::core::result::Result::Ok(#event) => #handled,
            ::core::result::Result::Err(#error) => ::core::result::Result::Err(#error),
        }
    };
    let run = match asyncness {
        None => quote_spanned!(Span::mixed_site()=> <#backend as #runtime::projection::Backend>::ready(#step)),
        Some(word) => {
            let boxed = quote_spanned!(located(word.span)=> <#backend as #runtime::projection::AsyncBackend>::boxed);
            quote_spanned!(Span::mixed_site()=> #boxed(async move { #step }))
        }
    };
    quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        if #runtime::StoredEvent::is::<#ty>(#stored) {
            return #run;
        }
    }
}
