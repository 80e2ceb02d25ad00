//! The impls that lead from a bus to the methods.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote_spanned};
use syn::{Generics, Ident, Type, WherePredicate};

use super::Kind;
use super::model::{Call, Handler, Model};
use crate::generics::{bound, predicate, shared};
use crate::output::{associated, block, first_span, local, located, unused};
use crate::traced::{each, values};

pub(super) fn expand(model: &Model) -> TokenStream {
    let impls = model.handlers.iter().map(|handler| handle(model, handler));
    let register = register(model);
    let impls = quote_spanned!(Span::mixed_site()=> #register #(#impls)*);
    block(Some(&model.attributes), &impls)
}

fn register(model: &Model) -> TokenStream {
    let Model { kind, runtime, self_ty, services, handlers, .. } = model;
    // Of several handlers, a mistaken one would keep the others from being handlers.
    let only = handlers.iter().filter(|only| handlers.len() == 1 && only.cfgs.is_empty());
    let generics = assuming(model, only.flat_map(|handler| needed(model, handler)));
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let registry = local("__es_registry");
    let (names, services) = match kind {
        Kind::Command => (["Handlers", "Registry", "command"], Some(associated("Services", services))),
        Kind::Query => (["QueryHandlers", "QueryRegistry", "query"], None),
    };
    let [target, registry_trait, add] = names.map(local);
    let calls = handlers.iter().map(|Handler { cfgs, message: ty, .. }| {
        let place = first_span(ty);
        let at = runtime.at(place);
        let (of, this) = (local("__EsRegistry"), local("Self"));
        quote_spanned!(place=> #(#cfgs)* <#of as #at::#registry_trait<#this>>::#add::<#ty>(#registry);)
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

/// The bounds on a handler's types. The code that needs them assumes them, at one place, so that a violation is
/// reported once.
fn needed(model: &Model, handler: &Handler) -> impl Iterator<Item = WherePredicate> {
    [message(model, handler)].into_iter().chain(answers(model, handler))
}

/// What the handlers' type is: the compiler would ask each impl anew for the `Default` of an aggregate, and whether a
/// type of query handlers may be shared.
fn itself(Model { kind, runtime, self_ty, .. }: &Model) -> WherePredicate {
    let place = first_span(self_ty);
    let (at, aggregate) = (runtime.at(place), local("Aggregate"));
    let bound = match kind {
        Kind::Command => quote_spanned!(place=> #at::#aggregate<>),
        Kind::Query => shared(place),
    };
    predicate(self_ty, bound)
}

fn message(Model { kind, runtime, .. }: &Model, Handler { message: ty, .. }: &Handler) -> WherePredicate {
    let place = first_span(ty);
    let at = runtime.at(place);
    let bound = match kind {
        Kind::Command => {
            let command = local("Command");
            quote_spanned!(place=> #at::#command<Aggregate = Self>)
        }
        Kind::Query => {
            let query = local("Query");
            quote_spanned!(place=> #at::#query<>)
        }
    };
    predicate(ty, bound)
}

/// The generics with predicates that can be checked here. With type parameters those are left out that would hide from
/// the impl's body what is known of the types.
fn assuming(model: &Model, predicates: impl IntoIterator<Item = WherePredicate>) -> Generics {
    let Model { kind, self_ty, .. } = model;
    let mut generics = model.generics.clone();
    if generics.params.is_empty() {
        generics.make_where_clause().predicates.extend([itself(model)].into_iter().chain(predicates));
    } else if let Kind::Query = kind {
        generics = bound(&generics, &shared(first_span(self_ty)));
    }
    generics
}

fn handle(model: &Model, handler: &Handler) -> TokenStream {
    let Model { kind, runtime, self_ty, .. } = model;
    let generics = assuming(model, needed(model, handler));
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let Handler { cfgs, message: ty, call, .. } = handler;
    let telemetry = call.as_ref().map(|call| telemetry(model, ty, call));
    let place = first_span(ty);
    let at = runtime.at(place);
    let (target, body) = match kind {
        Kind::Command => (local("Handle"), decide(model, handler)),
        Kind::Query => (local("HandleQuery"), answer(model, handler)),
    };
    let target = quote_spanned!(place=> #at::#target<#ty>);
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
fn decide(model: &Model, Handler { method, message: ty, call, .. }: &Handler) -> TokenStream {
    let Model { runtime, services, .. } = model;
    let private = runtime.private();
    let command = local("__es_command");
    let takes_services = call.as_ref().is_some_and(|call| call.services.is_some());
    let (bound, given) = if takes_services {
        let services = local("__es_services");
        (services.to_token_stream(), quote_spanned!(Span::mixed_site()=> #command, #services))
    } else {
        (quote_spanned!(Span::mixed_site()=> _), command.to_token_stream())
    };
    let set = quote_spanned!(Span::mixed_site()=> <Self as #runtime::Aggregate>::Event);
    let error = quote_spanned!(Span::mixed_site()=> <Self as #runtime::Aggregate>::Error);
    let decided = call.as_ref().map_or_else(
        || quote_spanned!(Span::mixed_site()=> let _ = #command; #private::never()),
        |call| {
            let place = first_span(&call.returned);
            let at = runtime.at(place);
            let called = called(method, call, &given);
            quote_spanned!(place=> #at::Decision::<#set, #error>::decide(#called))
        },
    );
    quote_spanned! {located(method.span())=>
        async fn handle(
            &self,
            #command: #ty,
            #bound: &#services,
        ) -> ::core::result::Result<#private::Vec<#set>, #error> {
            #decided
        }
    }
}

/// What the method of a query must return.
fn answers(Model { kind, runtime, .. }: &Model, Handler { message: ty, call, .. }: &Handler) -> Option<WherePredicate> {
    let returned = &call.as_ref().filter(|_| *kind == Kind::Query)?.returned;
    let place = first_span(returned);
    let (at, private) = (runtime.at(place), runtime.private_at(place));
    let [answers, query, output] = ["Answers", "Query", "Output"].map(local);
    Some(predicate(returned, quote_spanned!(place=> #private::#answers<<#ty as #at::#query>::#output>)))
}

/// `handle` of a query.
fn answer(model: &Model, Handler { method, message: ty, call, .. }: &Handler) -> TokenStream {
    let Model { runtime, .. } = model;
    let query = local("__es_query");
    let output = quote_spanned!(Span::mixed_site()=> <#ty as #runtime::Query>::Output);
    let (error, body) = call.as_ref().map_or_else(
        || {
            let private = runtime.private();
            let error = quote_spanned!(Span::mixed_site()=> ::core::convert::Infallible);
            (error, quote_spanned!(Span::mixed_site()=> let _ = #query; #private::never()))
        },
        |call| {
            let returned = &call.returned;
            let place = first_span(returned);
            let private = runtime.private_at(place);
            let answers = quote_spanned!(place=> <#returned as #private::Answers<#output>>);
            let called = called(method, call, &query.to_token_stream());
            (quote_spanned!(place=> #answers::Error), quote_spanned!(place=> #answers::answer(#called)))
        },
    );
    // Not `Self::Error`, which may be a variant.
    quote_spanned! {located(method.span())=>
        type Error = #error;

        async fn handle(
            &self,
            #query: #ty,
        ) -> ::core::result::Result<#output, <Self as #runtime::HandleQuery<#ty>>::Error> {
            #body
        }
    }
}

/// The call of the user's method, placed so that an error about the returned type is on that type.
fn called(method: &Ident, Call { is_async, returned, .. }: &Call, arguments: &TokenStream) -> TokenStream {
    let place = first_span(returned);
    let awaited = is_async.then(|| quote_spanned!(place=> .await));
    quote_spanned!(place=> Self::#method(self, #arguments) #awaited)
}

/// The methods that give the runtime the handler's `#[traced]` options, with the user's own names bound.
fn telemetry(model: &Model, ty: &Type, call: &Call) -> TokenStream {
    let private = model.runtime.private();
    let Call { receiver, message: pattern, attributes, enable_tracing, .. } = call;
    let this = &receiver.self_token;
    let enable_tracing = enable_tracing.as_ref().map(|enabled| {
        let (on, unused) = (local("__es_on"), unused([pattern], [enabled]));
        quote_spanned! {Span::mixed_site()=>
            fn enable_tracing(&#this, #pattern: &#ty) -> ::core::primitive::bool {
                #unused
                let #on: ::core::primitive::bool = #enabled;
                #on
            }
        }
    });
    let attributes = (!attributes.is_empty()).then(|| {
        let out = local("__es_attributes");
        let records = each(&private, &out, attributes, &values(&model.runtime, None, attributes));
        let services = (model.kind == Kind::Command).then(|| services_argument(model, call));
        let checks = call.scope(ty).check(&model.runtime, attributes);
        let patterns = [pattern].into_iter().chain(call.services.iter().map(|services| &services.pattern));
        let unused = unused(patterns, attributes.iter().filter_map(|entry| entry.value.expr()));
        quote_spanned! {Span::mixed_site()=>
            fn attributes(&#this, #pattern: &#ty, #services #out: &mut #private::Attributes) {
                #unused
                #records
                #checks
            }
        }
    });
    quote_spanned!(Span::mixed_site()=> #enable_tracing #attributes)
}

fn services_argument(Model { services, .. }: &Model, call: &Call) -> TokenStream {
    let pattern = call.services.as_ref().map(|argument| argument.pattern.to_token_stream());
    let pattern = pattern.unwrap_or_else(|| quote_spanned!(Span::mixed_site()=> _));
    quote_spanned!(Span::mixed_site()=> #pattern: &#services,)
}
