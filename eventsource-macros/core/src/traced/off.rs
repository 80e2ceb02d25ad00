//! The function without a span: its options are checked, and nothing is evaluated.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};

use super::attributes::{check, seeing};
use super::covers::Covers;
use super::expand::{told_of, with_fault};
use super::model::{Model, Parent, Returned, has_inferred};
use crate::output::{borrowed, like, local, within};
use crate::signature::Function;

pub(super) fn expand(model: &Model) -> TokenStream {
    let Model { function: Function { attrs, vis, sig, .. }, body, .. } = model;
    let checks = checks(model);
    if checks.is_empty() {
        return quote!(#(#attrs)* #vis #sig #body);
    }
    // The body keeps its own block, as if nothing preceded it.
    let within = within(body);
    let body = like(body, quote!(#checks #within));
    quote!(#(#attrs)* #vis #sig #body)
}

fn checks(model: &Model) -> TokenStream {
    let private = model.runtime.private();
    let enabled = model
        .enable_tracing
        .iter()
        .map(|enabled| quote_spanned!(Span::mixed_site()=> let _: ::core::primitive::bool = #enabled;));
    let parent = match &model.parent {
        Parent::Of(parent) => Some(&**parent),
        Parent::Current | Parent::Root => None,
    };
    let linked = parent.into_iter().chain(&model.links).map(|linked| {
        let linked = borrowed(linked);
        quote_spanned!(Span::mixed_site()=> #private::check_linked(#linked);)
    });
    let attributes = model.attributes.iter().filter_map(|entry| check(&model.runtime, entry));
    let start: TokenStream = enabled.chain(linked).chain(attributes).collect();
    // As with a span: an `Fn`, so that no argument is changed or moved out of.
    let start = (!start.is_empty())
        .then(|| quote_spanned!(Span::mixed_site()=> let _: &dyn ::core::ops::Fn() = &|| { #start };));
    let checks: TokenStream = start.into_iter().chain(returned(model)).collect();
    // Never called, so that the compiler generates no code for it.
    let checks = (!checks.is_empty()).then(|| quote_spanned!(Span::mixed_site()=> let _ = || { #checks };));
    let sensitive = model.sensitive();
    quote_spanned!(Span::mixed_site()=> #checks #sensitive)
}

/// The expressions of `record(..)` and `fault`, if the returned type can be written.
fn returned(model: &Model) -> Option<TokenStream> {
    let (private, value) = (model.runtime.private(), local("__es_returned"));
    let seen = |entry| Some(seeing(&value.to_token_stream(), entry, &check(&model.runtime, entry)?));
    let fault = model.fault.iter().map(|fault| {
        let no_result = quote_spanned!(Span::mixed_site()=> #private::NoResult);
        let asked = with_fault(model, fault, |private, place| told_of(private, place, &value), &no_result);
        quote_spanned!(Span::mixed_site()=> let _ = #asked;)
    });
    let checks: TokenStream = model.record.iter().filter_map(seen).chain(fault).collect();
    if checks.is_empty() {
        return None;
    }
    let written = match (&model.returned, model.covers) {
        (Returned::Type(ty) | Returned::Opaque(Some(ty)), _) if has_inferred(ty) => return None,
        (Returned::Type(ty), Covers::Future) => {
            quote_spanned!(Span::mixed_site()=> <#ty as ::core::future::Future>::Output)
        }
        // In a stream of another name its items cannot be seen.
        (Returned::Type(ty), Covers::Stream) => model.covers.item(ty)?.to_token_stream(),
        (Returned::Type(ty) | Returned::Opaque(Some(ty)), _) => ty.to_token_stream(),
        (Returned::Opaque(None) | Returned::Never, _) => return None,
    };
    Some(if model.covers == Covers::Future {
        // It cannot capture anything.
        quote_spanned!(Span::mixed_site()=> let _: fn(&#written) = |#value| { #checks };)
    } else {
        quote_spanned!(Span::mixed_site()=> let _: &dyn ::core::ops::Fn(&#written) = &|#value| { #checks };)
    })
}

#[cfg(test)]
mod tests {
    use crate::seeds::{TRACED_OFF, tokens};

    #[test]
    fn what_is_recorded_is_checked_where_its_type_can_be_written() {
        let checks = |returned: &str| {
            let function = tokens(&format!("fn f() -> {returned} {{ g() }}"));
            let options = tokens("record(\"k\" = result.len())");
            TRACED_OFF(options, function).to_string().contains("| __es_returned |")
        };
        assert!(checks("Result<Vec<u8>, E>"));
        assert!(!checks("Result<impl Sized, E>"));
    }
}
