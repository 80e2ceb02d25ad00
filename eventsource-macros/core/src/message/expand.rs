//! The impl of a command or a query.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::{Member, Type};

use super::model::{Model, Target};
use crate::fields;
use crate::generics::{bound, message_bounds};
use crate::output::{associated, block, first_span, local, located, probe};
use crate::paths::Runtime;
use crate::sensitive;

pub(super) fn expand(model: &Model) -> TokenStream {
    let Model { runtime, deprecated, ident, generics, name, target, attributes, sensitive } = model;
    let private = runtime.private();
    let place = located(ident.span());
    let at = runtime.at(place);
    let sent = message_bounds(&private);
    let (message, bounds, items) = match target {
        Target::Command { aggregate, id } => (
            quote_spanned!(place=> #at::Command),
            quote_spanned!(Span::mixed_site()=> ::core::clone::Clone + ::core::marker::Sync + #sent),
            command(runtime, aggregate, id.as_ref()),
        ),
        Target::Query { output, error } => {
            (quote_spanned!(place=> #at::Query), sent, query(runtime, output, error.as_deref()))
        }
    };
    let generics = bound(generics, &bounds);
    let marks = sensitive::marks(&private, ident, &model.generics, sensitive);
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    let record = fields::record(&private, attributes);
    let impls = quote_spanned! {Span::mixed_site()=>
        #[automatically_derived]
        impl #impl_generics #message for #ident #ty_generics #where_clause {
            const NAME: &'static ::core::primitive::str = #name;
            #items
            #record
        }
        #marks
    };
    block(deprecated.as_ref(), &impls)
}

fn command(runtime: &Runtime, aggregate: &Type, id: Option<&Member>) -> TokenStream {
    let private = runtime.private();
    let id = id.map_or_else(|| quote_spanned!(Span::mixed_site()=> #private::never()), fields::borrowed);
    let place = first_span(aggregate);
    let private_at = runtime.private_at(place);
    let target = associated("Aggregate", aggregate);
    // Not `Self::Aggregate`, which would check once more whether this is a command.
    let (name, this, of) = (local("id"), local("self"), local("IdOf"));
    quote_spanned! {place=>
        #target

        fn #name(&#this) -> &#private_at::#of<#aggregate> {
            #id
        }
    }
}

/// The answer's type decides whether it can be counted and serialized, which the probes find out.
fn query(runtime: &Runtime, output: &Type, error: Option<&Type>) -> TokenStream {
    let private = runtime.private();
    let answer = local("__es_answer");
    let lists = probe(&private, "list");
    let json = probe(&private, "json");
    let target = associated("Output", output);
    let error = error.map_or_else(
        || quote_spanned!(Span::mixed_site()=> type Error = ::core::convert::Infallible;),
        |error| associated("Error", error),
    );
    quote_spanned! {Span::mixed_site()=>
        #target
        #error

        fn result_count(#answer: &#output) -> ::core::option::Option<::core::primitive::usize> {
            #lists
            (&&#private::Answer(#answer)).__es_count()
        }

        fn to_json(
            #answer: &#output,
        ) -> ::core::option::Option<#private::serde_json::Result<#private::serde_json::Value>> {
            #json
            (&&#private::Answer(#answer)).__es_json()
        }
    }
}
