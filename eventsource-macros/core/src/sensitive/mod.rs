//! Fields that are marked as `sensitive`: no attribute may name one.
//!
//! A derive marks its type; a type check is generated for each `argument.field` in an attribute's expression, and for
//! each value that is shown as a whole. Neither macro sees the other's work: the types connect them.

mod found;
mod scope;
mod types;
mod within;
#[cfg(test)]
mod words;

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::ext::IdentExt as _;
use syn::{Expr, ExprGroup, ExprParen, ExprReference, Generics, Ident, Index, Member, Path};

pub(crate) use self::scope::Scope;
pub(crate) use self::types::{is_plain, is_type};
use crate::diagnostics::Diagnostics;
use crate::fields::Marked;
use crate::keys;
use crate::options::{Form, Word};
use crate::output::{first_span, probe};
use crate::paths::Runtime;

/// `sensitive`, which every message's field takes.
pub(crate) const SENSITIVE: Word = Word::new(keys::SENSITIVE, Form::Flag);

/// A field that is marked so.
pub(crate) struct Field {
    pub(crate) member: Member,
    /// Its place counted from the end, the last field being first.
    from_end: usize,
}

impl Field {
    /// The names by which it is found.
    fn names(&self) -> impl Iterator<Item = String> {
        let behind = matches!(self.member, Member::Unnamed(_)).then(|| from_end(self.from_end));
        std::iter::once(name(&self.member)).chain(behind)
    }
}

/// Reads `sensitive` of a field, which contradicts `attribute`.
pub(crate) fn read(diagnostics: &mut Diagnostics, marked: &mut Marked) -> Option<Field> {
    let word = marked.options.flag(keys::SENSITIVE)?;
    if let Some(attribute) = marked.options.take(keys::ATTRIBUTE) {
        let message = format!("`attribute` would show what is `{word}`; keep one");
        diagnostics.error(attribute.key, message);
    }
    Some(Field { member: marked.member.clone(), from_end: marked.from_end })
}

/// The impls that mark a type; empty if none of its fields is sensitive.
pub(crate) fn marks(private: &TokenStream, ident: &Ident, generics: &Generics, fields: &[Field]) -> TokenStream {
    if fields.is_empty() {
        return TokenStream::new();
    }
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    let fields = fields.iter().flat_map(Field::names).map(|name| hash(private, &name));
    fields
        .chain([whole(private)])
        .map(|field| {
            quote_spanned! {Span::mixed_site()=>
                #[automatically_derived]
                impl #impl_generics #private::HasSensitive<#field> for #ident #ty_generics #where_clause {}
            }
        })
        .collect()
}

/// The statement that refuses a value, behind a reference, whose type shows a sensitive field, wherever the value comes
/// from; of a tuple that is written out, one for each element.
pub(crate) fn check_whole(runtime: &Runtime, value: &Ident, expr: &Expr) -> TokenStream {
    match expr {
        Expr::Paren(ExprParen { expr, .. })
        | Expr::Group(ExprGroup { expr, .. })
        | Expr::Reference(ExprReference { expr, .. }) => check_whole(runtime, value, expr),
        Expr::Tuple(tuple) => (0..)
            .zip(&tuple.elems)
            .map(|(index, element)| {
                let index = Index { index, span: Span::mixed_site() };
                let part = Ident::new("__es_part", first_span(element));
                let check = check_whole(runtime, &part, element);
                quote_spanned!(Span::mixed_site()=> match &#value.#index { #part => { #check } })
            })
            .collect(),
        expr => check_type(runtime, value, first_span(expr)),
    }
}

fn check_type(runtime: &Runtime, value: &Ident, place: Span) -> TokenStream {
    let (private, at) = (runtime.private(), runtime.private_at(place));
    let [check, whole, shown] = ["may_be_seen", "__es_whole", "__es_shown"].map(|name| Ident::new(name, place));
    let probe = probe(&private, "shown");
    let check = quote_spanned!(place=> #at::#check::<_>((&&&&&#value.#whole()).#shown()););
    quote_spanned!(Span::mixed_site()=> if false { #probe #check })
}

/// The impl that marks a generated enum, if one of these types is marked.
pub(crate) fn mark_enum(private: &TokenStream, ident: &Ident, of: &[&Path]) -> TokenStream {
    let (whole, probe) = (whole(private), probe(private, "shown"));
    quote_spanned! {Span::mixed_site()=>
        #[automatically_derived]
        impl #private::HasSensitive<{
            #probe
            #private::whole_if(false #(|| #private::Field::<#of, #whole>::HIDDEN)*)
        }> for #ident {}
    }
}

/// A field's name as a type parameter.
fn hash(private: &TokenStream, name: &str) -> TokenStream {
    quote_spanned!(Span::mixed_site()=> { #private::field(#name) })
}

/// The same for all its fields.
fn whole(private: &TokenStream) -> TokenStream {
    quote_spanned!(Span::mixed_site()=> { #private::WHOLE })
}

fn name(member: &Member) -> String {
    match member {
        Member::Named(name) => name.unraw().to_string(),
        Member::Unnamed(index) => index.index.to_string(),
    }
}

/// The name of a tuple's field behind `..`, whose pattern does not say how many precede it.
fn from_end(place: usize) -> String {
    format!("-{place}")
}
