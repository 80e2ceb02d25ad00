//! The enum of events, its impls, and the aggregate's.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Ident, Path};

use super::model::{Event, Model, Snapshot};
use crate::generics::bound;
use crate::output::{associated, block, enum_lints, local, located, probe};
use crate::sensitive;

pub(super) fn expand(model: &Model) -> TokenStream {
    // Uses of the events as types come first: for a half-written name an editor looks at its first use.
    let mut impls: TokenStream = model.events.iter().map(|event| member(model, event)).collect();
    impls.extend(debug(model));
    impls.extend(marks(model));
    impls.extend(event_set(model));
    impls.extend(aggregate(model));
    let mut tokens = block(model.deprecated.as_ref(), &impls);
    tokens.extend(set(model));
    tokens
}

/// The enum, outside the block of impls, since users name it.
fn set(Model { vis, ident, set, events, derive, deprecated, .. }: &Model) -> TokenStream {
    let about = format!(" The events of [`{ident}`], in the order in which they are listed there.");
    let derive = (!derive.is_empty()).then(|| quote_spanned!(Span::mixed_site()=> #[derive(#(#derive),*)]));
    let lints = enum_lints(vis, [set].into_iter().chain(events.iter().map(|event| &event.variant)));
    let variants = events.iter().map(|Event { variant, path }| {
        let about = format!(" See {}.", link(variant, path));
        quote_spanned!(Span::mixed_site()=> #[doc = #about] #variant(#path))
    });
    quote_spanned! {Span::mixed_site()=>
        #[doc = #about]
        #derive
        #lints
        #deprecated
        #vis enum #set {
            #(#variants),*
        }
    }
}

/// A link to the event: the variant's name is in scope only where the event's is.
fn link(variant: &Ident, path: &Path) -> String {
    if path.get_ident().is_some() {
        return format!("[`{variant}`]");
    }
    let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    let root = if path.leading_colon.is_some() { "::" } else { "" };
    // A link cannot resolve `$crate`.
    if segments.iter().any(|segment| segment.starts_with('$')) {
        return format!("`{variant}`");
    }
    format!("[`{variant}`]({root}{})", segments.join("::"))
}

/// The name of the event alone: payloads may hold anything.
fn debug(Model { set, events, debug, .. }: &Model) -> TokenStream {
    if !debug || events.is_empty() {
        return TokenStream::new();
    }
    let out = local("__es_out");
    let arms = events.iter().map(|Event { variant, .. }| {
        let name = variant.unraw().to_string();
        quote_spanned!(Span::mixed_site()=> Self::#variant(_) => #name)
    });
    quote_spanned! {Span::mixed_site()=>
        #[automatically_derived]
        impl ::core::fmt::Debug for #set {
            fn fmt(&self, #out: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Formatter::write_str(#out, match self { #(#arms),* })
            }
        }
    }
}

/// Marks the state, and the enum whose `Debug` is derived: that shows what its events show.
fn marks(Model { runtime, ident, generics, sensitive, set, events, debug, .. }: &Model) -> TokenStream {
    let private = runtime.private();
    let mut marks = sensitive::marks(&private, ident, generics, sensitive);
    let shown: Vec<&Path> = events.iter().filter(|_| !debug).map(|event| &event.path).collect();
    if !shown.is_empty() {
        marks.extend(sensitive::mark_enum(&private, set, &shown));
    }
    marks
}

fn member(Model { runtime, set, .. }: &Model, Event { variant, path }: &Event) -> TokenStream {
    let event = local("__es_event");
    quote_spanned! {Span::mixed_site()=>
        #[automatically_derived]
        impl #runtime::Includes<#path> for #set {
            fn include(#event: #path) -> Self {
                Self::#variant(#event)
            }
        }

        #[automatically_derived]
        impl ::core::convert::From<#path> for #set {
            fn from(#event: #path) -> Self {
                Self::#variant(#event)
            }
        }
    }
}

fn event_set(Model { runtime, set, events, .. }: &Model) -> TokenStream {
    let private = runtime.private();
    let defs = events.iter().map(|Event { variant, path }| {
        let place = located(variant.span());
        let at = runtime.at(place);
        let (def, of) = (local("EventDef"), local("of"));
        quote_spanned!(place=> #at::#def::#of::<#path>())
    });
    let event = local("__es_event");
    let arms = events.iter().map(|Event { variant, .. }| {
        quote_spanned!(Span::mixed_site()=> Self::#variant(#event) => #private::Member(#event).__es_any())
    });
    let probe = (!events.is_empty()).then(|| probe(&private, "member"));
    // After a mistake there may be no events; a reference to an empty enum is not considered uninhabited.
    let (this, list) = (local("self"), local("__es_events"));
    let this = if events.is_empty() {
        quote_spanned!(Span::mixed_site()=> *#this)
    } else {
        quote_spanned!(Span::mixed_site()=> #this)
    };
    quote_spanned! {Span::mixed_site()=>
        #[automatically_derived]
        impl #runtime::EventSet for #set {
            const EVENTS: &'static [#runtime::EventDef<Self>] = &[#(#defs),*];

            fn as_event(&self) -> &dyn #runtime::AnyEvent {
                #probe
                match #this { #(#arms),* }
            }
        }

        #[automatically_derived]
        impl #runtime::IntoEvents<#set> for #set {
            fn into_events(self, #list: &mut #private::Vec<#set>) {
                #private::Vec::push(#list, self);
            }
        }

        const _: () = #private::distinct_names(<#set as #runtime::EventSet>::EVENTS);
    }
}

fn aggregate(model: &Model) -> TokenStream {
    let Model { runtime, ident, name, id, error, set, snapshot, hole, .. } = model;
    let event = local("__es_event");
    let snapshot = snapshot.as_ref().map(|Snapshot { every, version, hash }| {
        quote_spanned! {Span::mixed_site()=>
            const SNAPSHOT: ::core::option::Option<#runtime::Snapshot<Self>> =
                ::core::option::Option::Some(#runtime::Snapshot::json(#every).with_schema(#version, #hash));
        }
    });
    let place = located(ident.span());
    let at = runtime.at(place);
    let aggregate = quote_spanned!(place=> #at::Aggregate);
    let bounds =
        quote_spanned!(place=> ::core::default::Default + ::core::marker::Send + ::core::marker::Sync + 'static);
    let generics = bound(&model.generics, &bounds);
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    let set = hole.as_ref().map_or_else(|| set.to_token_stream(), ToTokens::to_token_stream);
    let body = evolve(model, &event);
    let (stored, fault) = (evolve_stored(model), fault(model));
    let (id, error) = (associated("Id", id), associated("Error", error));
    quote_spanned! {Span::mixed_site()=>
        #[automatically_derived]
        impl #impl_generics #aggregate for #ident #ty_generics #where_clause {
            const NAME: &'static ::core::primitive::str = #name;
            #snapshot
            #id
            type Event = #set;
            #error

            fn evolve(&mut self, #event: #set) {
                #body
            }

            #stored

            #fault
        }
    }
}

/// Asks the function at its own place, where the compiler says what is wrong with it.
fn fault(Model { runtime, fault, .. }: &Model) -> Option<TokenStream> {
    let path = fault.as_ref()?;
    let place = located(path.span());
    let error = Ident::new("__es_error", place);
    let asked = quote_spanned!(place=> #path(#error));
    // Not `Self::Error`, which may be a variant.
    Some(quote_spanned! {Span::mixed_site()=>
        fn is_fault(#error: &<Self as #runtime::Aggregate>::Error) -> ::core::primitive::bool {
            #asked
        }
    })
}

/// Applies the event. After a mistake the impl only exists for its users, and does nothing.
fn evolve(model: &Model, event: &Ident) -> TokenStream {
    if is_mistaken(model) {
        return quote_spanned!(Span::mixed_site()=> let _ = #event;);
    }
    let Model { set, events, .. } = model;
    let arms = events.iter().map(|listed| {
        let (variant, apply) = (&listed.variant, apply(model, listed, event));
        quote_spanned!(Span::mixed_site()=> #set::#variant(#event) => #apply)
    });
    quote_spanned!(Span::mixed_site()=> match #event { #(#arms),* })
}

/// Reads each type of event where it is applied, which saves writing it into the enum and reading it back.
fn evolve_stored(model: &Model) -> Option<TokenStream> {
    if is_mistaken(model) {
        return None;
    }
    let Model { runtime, events, .. } = model;
    let private = runtime.private();
    let (stored, event) = (local("__es_stored"), local("__es_event"));
    let tries = events.iter().map(|listed| {
        let (path, apply) = (&listed.path, apply(model, listed, &event));
        quote_spanned! {Span::mixed_site()=>
            if let ::core::option::Option::Some(#event) = #private::Stored::<#path>::new(#stored).__es_read()? {
                #apply;
                return ::core::result::Result::Ok(());
            }
        }
    });
    let probe = (!events.is_empty()).then(|| probe(&private, "stored"));
    Some(quote_spanned! {Span::mixed_site()=>
        fn evolve_stored(
            &mut self,
            #stored: &#runtime::EventRef<'_>,
        ) -> ::core::result::Result<(), #runtime::DecodeError> {
            #probe
            #(#tries)*
            #private::unknown(#stored)
        }
    })
}

/// Whether the impl only exists for its users, after a mistake.
fn is_mistaken(Model { hole, generics, .. }: &Model) -> bool {
    hole.is_some() || !generics.params.is_empty()
}

/// Puts all of `<Self as Apply<E>>` on the event, where a missing impl is reported: with the same text everywhere, so
/// that it is reported once.
fn apply(Model { runtime, .. }: &Model, Event { variant, path }: &Event, event: &Ident) -> TokenStream {
    let place = located(variant.span());
    let at = runtime.at(place);
    let (this, apply) = (local("self"), local("Apply"));
    quote_spanned!(place=> <Self as #at::#apply<#path>>::apply(#this, #event))
}
