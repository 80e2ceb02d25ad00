//! The impls that lead from a bus to the methods.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote_spanned};

use super::Kind;
use super::model::{Argument, Handler, Model};
use crate::output::{binding_lints, block, first_span, local, located};
use crate::signature::alike;
use crate::traced::attribute;

pub(super) fn expand(model: &Model) -> TokenStream {
    // After mistakes in two methods for one message, the second impl would be a mistake of the compiler's as well.
    let distinct = |handler: &&Handler| {
        let first = model.handlers.iter().find(|other| alike(&other.message.ty, &handler.message.ty));
        !handler.cfgs.is_empty() || first.is_some_and(|first| first.method == handler.method)
    };
    let handlers: Vec<&Handler> = model.handlers.iter().filter(distinct).collect();
    let impls = handlers.iter().map(|handler| handle(model, handler));
    let register = register(model, &handlers);
    block(&quote_spanned!(Span::mixed_site()=> #register #(#impls)*))
}

fn register(model: &Model, handlers: &[&Handler]) -> TokenStream {
    let Model { kind, runtime, generics, self_ty, .. } = model;
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let registry = local("__es_registry");
    let (target, registry_trait, add, services) = match kind {
        Kind::Command => {
            let services = services(model);
            (
                quote_spanned!(Span::mixed_site()=> Handlers),
                quote_spanned!(Span::mixed_site()=> Registry),
                quote_spanned!(Span::mixed_site()=> command),
                quote_spanned!(Span::mixed_site()=> type Services = #services;),
            )
        }
        Kind::Query => (
            quote_spanned!(Span::mixed_site()=> QueryHandlers),
            quote_spanned!(Span::mixed_site()=> QueryRegistry),
            quote_spanned!(Span::mixed_site()=> query),
            TokenStream::new(),
        ),
    };
    let calls = handlers.iter().map(|Handler { cfgs, message: Argument { ty, .. }, .. }| {
        let place = first_span(ty);
        let at = runtime.at(place);
        quote_spanned!(place=> #(#cfgs)* <__EsRegistry as #at::#registry_trait<Self>>::#add::<#ty>(#registry);)
    });
    quote_spanned! {Span::mixed_site()=>
        #[automatically_derived]
        impl #impl_generics #runtime::#target for #self_ty #where_clause {
            #services

            fn register<__EsRegistry: #runtime::#registry_trait<Self>>(#registry: &mut __EsRegistry) {
                #(#calls)*
            }
        }
    }
}

fn services(model: &Model) -> TokenStream {
    model.services.as_ref().map_or_else(
        || quote_spanned!(Span::mixed_site()=> ()),
        |services| quote_spanned!(Span::mixed_site()=> #services),
    )
}

fn handle(model: &Model, handler: &Handler) -> TokenStream {
    let Model { kind, runtime, generics, self_ty, .. } = model;
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let Handler { cfgs, message: Argument { ty, .. }, .. } = handler;
    let telemetry = telemetry(model, handler);
    let place = first_span(ty);
    let at = runtime.at(place);
    let (target, body) = match kind {
        Kind::Command => (quote_spanned!(place=> #at::Handle<#ty>), decide(model, handler)),
        Kind::Query => (quote_spanned!(place=> #at::HandleQuery<#ty>), answer(model, handler)),
    };
    quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        #[automatically_derived]
        impl #impl_generics #target for #self_ty #where_clause {
            #telemetry
            #body
        }
    }
}

/// `handle` of a command: what the method returns becomes events.
fn decide(model: &Model, handler: &Handler) -> TokenStream {
    let runtime = &model.runtime;
    let Handler { method, message: Argument { ty, .. }, returned, .. } = handler;
    let command = local("__es_command");
    let services = services(model);
    let (bound, given) = if handler.services.is_some() {
        let services = local("__es_services");
        (services.to_token_stream(), quote_spanned!(Span::mixed_site()=> #command, #services))
    } else {
        (quote_spanned!(Span::mixed_site()=> _), command.to_token_stream())
    };
    let called = called(handler, &given);
    let set = quote_spanned!(Span::mixed_site()=> <Self as #runtime::Aggregate>::Event);
    let error = quote_spanned!(Span::mixed_site()=> <Self as #runtime::Aggregate>::Error);
    let place = first_span(returned);
    let at = runtime.at(place);
    let decided = quote_spanned!(place=> #at::Decision::<#set, #error>::decide(#called));
    quote_spanned! {located(method.span())=>
        async fn handle(
            &self,
            #command: #ty,
            #bound: &#services,
        ) -> ::core::result::Result<::std::vec::Vec<#set>, #error> {
            #decided
        }
    }
}

/// `handle` of a query.
fn answer(model: &Model, handler: &Handler) -> TokenStream {
    let Model { runtime, .. } = model;
    let Handler { method, message: Argument { ty, .. }, returned, .. } = handler;
    let query = local("__es_query");
    let called = called(handler, &query.to_token_stream());
    let place = first_span(returned);
    let private = runtime.private_at(place);
    let error = quote_spanned!(place=> <#returned as #private::Fallible>::Error);
    let result = quote_spanned!(place=> ::core::result::Result<<#ty as #runtime::Query>::Output, Self::Error>);
    quote_spanned! {located(method.span())=>
        type Error = #error;

        async fn handle(
            &self,
            #query: #ty,
        ) -> #result {
            #called
        }
    }
}

/// The call of the user's method, where an error about what it returns belongs on that type.
fn called(Handler { method, is_async, returned, .. }: &Handler, arguments: &TokenStream) -> TokenStream {
    let place = first_span(returned);
    let awaited = is_async.then(|| quote_spanned!(place=> .await));
    quote_spanned!(place=> Self::#method(self, #arguments) #awaited)
}

/// The methods that tell the runtime what the handler's `#[traced]` says, with the user's own names bound.
fn telemetry(model: &Model, handler: &Handler) -> TokenStream {
    let private = model.runtime.private();
    let Handler { receiver, message: Argument { pattern, ty }, attributes, enable_tracing, .. } = handler;
    let this = &receiver.self_token;
    let lints = binding_lints();
    let enable_tracing = enable_tracing.as_ref().map(|enabled| {
        quote_spanned!(Span::mixed_site()=> #lints fn enable_tracing(&#this, #pattern: &#ty) -> bool { #enabled })
    });
    let attributes = (!attributes.is_empty()).then(|| {
        let out = local("__es_attributes");
        let records = attributes.iter().map(|entry| attribute(&private, &out, entry));
        let services = (model.kind == Kind::Command).then(|| services_argument(model, handler));
        let checks = handler.scope().check(&model.runtime, attributes);
        quote_spanned! {Span::mixed_site()=>
            #lints
            fn attributes(&#this, #pattern: &#ty, #services #out: &mut #private::Attributes) {
                #checks
                #(#records)*
            }
        }
    });
    quote_spanned!(Span::mixed_site()=> #enable_tracing #attributes)
}

fn services_argument(model: &Model, handler: &Handler) -> TokenStream {
    let services = services(model);
    let pattern = handler.services.as_ref().map(|argument| argument.pattern.to_token_stream());
    let pattern = pattern.unwrap_or_else(|| quote_spanned!(Span::mixed_site()=> _));
    quote_spanned!(Span::mixed_site()=> #pattern: &#services,)
}
