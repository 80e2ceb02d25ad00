//! The impl of an event.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

use super::model::Model;
use crate::fields;
use crate::generics::{bound, message_bounds};
use crate::output::{block, located};
use crate::sensitive;

pub(super) fn expand(model: &Model) -> TokenStream {
    let Model { runtime, ident, generics, name, .. } = model;
    let private = runtime.private();
    let stored = message_bounds(&private);
    let bounds = quote_spanned!(Span::mixed_site()=> #private::serde::Serialize + ::core::marker::Sync + #stored);
    let generics = bound(generics, &bounds);
    let marks = sensitive::marks(&private, ident, &model.generics, &model.sensitive);
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    let constants = constants(model);
    let attributes = fields::record(&private, &model.attributes);
    let place = located(ident.span());
    let at = runtime.at(place);
    let event = quote_spanned!(place=> #at::Event);
    block(
        model.deprecated.as_ref(),
        &quote_spanned! {Span::mixed_site()=>
            #[automatically_derived]
            impl #impl_generics #event for #ident #ty_generics #where_clause {
                const NAME: &'static ::core::primitive::str = #name;
                #constants
                #attributes
            }
            #marks
        },
    )
}

/// What differs from the trait's defaults.
fn constants(Model { runtime, version, aliases, upcasts, .. }: &Model) -> TokenStream {
    let mut constants = TokenStream::new();
    if *version > 1 {
        constants.extend(quote_spanned!(Span::mixed_site()=> const VERSION: ::core::primitive::u32 = #version;));
    }
    if !aliases.is_empty() {
        constants.extend(quote_spanned! {Span::mixed_site()=>
            const ALIASES: &'static [&'static ::core::primitive::str] = &[#(#aliases),*];
        });
    }
    if !upcasts.is_empty() {
        let upcasts = upcasts.iter().map(|(from, path)| quote_spanned!(Span::mixed_site()=> (#from, #path)));
        constants.extend(quote_spanned! {Span::mixed_site()=>
            const UPCASTS: &'static [(::core::primitive::u32, #runtime::Upcast)] = &[#(#upcasts),*];
        });
    }
    constants
}
