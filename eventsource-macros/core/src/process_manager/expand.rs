//! The impl of a process manager.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::Ident;

use super::model::{Model, Taker};
use crate::listeners::{Listener, follow};
use crate::output::{block, first_span, local, located, unused};
use crate::sensitive::Scope;
use crate::traced::{Value, shown};

pub(super) fn expand(model: &Model) -> TokenStream {
    let Model { listener, timer, letters, reactions, compensations } = model;
    let Listener { runtime, attributes, generics, self_ty, name, span, .. } = listener;
    let private = runtime.private();
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let enable_tracing = listener.switch(None);
    let (assertion, events) = listener.names(reactions.iter().map(|it| (&*it.cfgs, &it.message)));
    let met = reactions.iter().map(|method| reaction(model, method));
    let refused = compensations.iter().map(|method| compensation(model, method));
    let refusable = refusable(model);
    let (stored, rejection) = (local("__es_stored"), local("__es_rejection"));
    let dispatch = quote_spanned!(Span::mixed_site()=> #runtime::dispatch);
    let result = |ok: TokenStream| quote_spanned!(Span::mixed_site()=> ::core::result::Result<#ok, #runtime::projection::ProjectionError>);
    let meets = result(quote_spanned!(Span::mixed_site()=> ::core::option::Option<#dispatch::Met<Self>>));
    let reacts = result(quote_spanned!(Span::mixed_site()=> #dispatch::Reaction<Self>));
    let place = first_span(self_ty);
    let at = runtime.at(place);
    let manager = quote_spanned!(place=> #at::dispatch::ProcessManager);
    let impls = quote_spanned! {Span::mixed_site()=>
        #assertion

        #[automatically_derived]
        impl #impl_generics #manager for #self_ty #where_clause {
            fn name() -> &'static ::core::primitive::str {
                #name
            }

            fn span_name() -> &'static ::core::primitive::str {
                #span
            }

            fn timer_name() -> &'static ::core::primitive::str {
                #timer
            }

            fn letters_name() -> &'static ::core::primitive::str {
                #letters
            }

            #enable_tracing

            fn event_types() -> #private::Vec<&'static ::core::primitive::str> {
                #private::event_types(#events)
            }

            fn meet(#stored: &#runtime::StoredEvent) -> #meets {
                #(#met)*
                ::core::result::Result::Ok(::core::option::Option::None)
            }

            fn rejected(&self, #rejection: &#dispatch::Rejection) -> #reacts {
                #refusable
                #(#refused)*
                ::core::result::Result::Ok(#dispatch::Reaction::new())
            }
        }
    };
    block(Some(attributes), &impls)
}

/// Asserts that no two refused commands share a name, which identifies them; if they are known to be commands.
fn refusable(Model { listener, compensations, .. }: &Model) -> Option<TokenStream> {
    let Listener { runtime, .. } = listener;
    let private = runtime.private();
    let names = compensations.iter().map(|Taker { cfgs, message, .. }| {
        quote_spanned!(Span::mixed_site()=> #(#cfgs)* <#message as #runtime::Command>::NAME)
    });
    let check = quote_spanned!(Span::mixed_site()=> #private::distinct_commands(&[#(#names),*]));
    let check = if listener.may_be_an_item(&check) {
        quote_spanned!(Span::mixed_site()=> const _: () = #check;)
    } else {
        quote_spanned!(Span::mixed_site()=> const { #check };)
    };
    (compensations.len() > 1).then_some(check)
}

/// Decodes one event, finds its process, and says how the process reacts.
fn reaction(model: &Model, method: &Taker) -> TokenStream {
    let runtime = &model.listener.runtime;
    let private = runtime.private();
    let Taker { cfgs, pattern, message, id, .. } = method;
    let (stored, state, process) = (local("__es_stored"), local("__es_state"), local("__es_process"));
    let (follows, follow) = (local("__es_follow"), follow(runtime, message));
    let event = local("__es_event");
    let process_id = id.as_ref().map_or_else(
        || quote_spanned!(Span::mixed_site()=> #private::ToString::to_string(#runtime::Recorded::aggregate_id(&#event))),
        |id| {
            let (place, shown, unused) = (first_span(id), shown(runtime, id), unused([pattern], [id]));
            let at = runtime.private_at(place);
            quote_spanned! {place=> {
                let #pattern = &#event;
                #unused
                #at::ToString::to_string(#shown)
            }}
        },
    );
    let checks = id.as_ref().map(|id| {
        let mut scope = Scope::default();
        scope.argument(pattern, message);
        scope.check_values(runtime, [&Value::Display(id.clone())])
    });
    let called = called(model, method, &quote_spanned!(Span::mixed_site()=> #state), &event);
    quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        {
            let #follows = #follow;
            if #private::Follow::is(&#follows, #stored) {
                let #event = #private::Follow::decode(&#follows, #stored)?;
                let #process = #process_id;
                #checks
                return ::core::result::Result::Ok(::core::option::Option::Some(#runtime::dispatch::Met::new(
                    #process,
                    move |#state: &Self| #called,
                )));
            }
        }
    }
}

/// Reads one refused command, and says how the process reacts.
fn compensation(model: &Model, method: &Taker) -> TokenStream {
    let runtime = &model.listener.runtime;
    let Taker { cfgs, message, .. } = method;
    let rejection = local("__es_rejection");
    let command = local("__es_command");
    let called = called(model, method, &quote_spanned!(Span::mixed_site()=> self), &command);
    let place = first_span(message);
    let at = runtime.at(place);
    quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        if #at::dispatch::Rejection::is::<#message>(#rejection) {
            let #command = #runtime::dispatch::Rejection::decode::<#message>(#rejection)?;
            return #called;
        }
    }
}

/// The call of the user's method, as a reaction.
fn called(model: &Model, Taker { method, .. }: &Taker, state: &TokenStream, argument: &Ident) -> TokenStream {
    let place = located(method.span());
    let at = model.listener.runtime.at(place);
    quote_spanned!(place=> #at::dispatch::IntoReaction::<Self>::into_reaction(Self::#method(#state, &#argument)))
}

#[cfg(test)]
mod tests {
    use crate::seeds::tokens;

    fn expanded(methods: &str) -> String {
        crate::process_manager(tokens(""), tokens(&format!("impl A {{ {methods} }}"))).to_string()
    }

    #[test]
    fn an_event_that_changes_in_the_body_does_not_where_its_process_is_found() {
        let expansion = expanded("#[process_manager(id = event.by)] fn on(&self, mut event: &Recorded<B>) {}");
        assert!(expansion.contains("let event = &"), "{expansion}");
    }

    #[test]
    fn of_two_refused_commands_the_names_are_compared() {
        let first = "fn first(&self, refused: &Rejected<B>) {}";
        let one = expanded(first);
        assert!(!one.contains("distinct_commands"), "{one}");
        let two = expanded(&format!("{first} #[cfg(c)] fn second(&self, refused: &Rejected<D>) {{}}"));
        let (_, compared) = two.split_once("distinct_commands").expect("they are compared");
        let names =
            ["B", "D"].map(|command| compared.find(&format!("< {command} as :: eventsource_runtime :: Command >")));
        assert!(names[0].is_some() && names[0] < names[1], "{two}");
        assert!(compared.contains("# [cfg (c)] < D as"), "{two}");
        let is_an_item =
            |expansion: &str| expansion.contains("const _ : () = :: eventsource_runtime :: __private :: distinct");
        assert!(is_an_item(&two), "`cargo check` evaluates no other: {two}");
        let own = expanded(&format!("{first} fn second(&self, refused: &Rejected<Own<Self>>) {{}}"));
        assert!(own.contains("distinct_commands") && !is_an_item(&own), "{own}");
    }
}
