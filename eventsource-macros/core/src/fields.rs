//! Fields that a message names as attributes, with `attribute` or `attribute = "key"`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote_spanned};
use syn::ext::IdentExt as _;
use syn::parse::Parse as _;
use syn::{Data, DataStruct, DeriveInput, LitStr, Member};

use crate::diagnostics::{self, Diagnostics};
use crate::keys;
use crate::names::find;
use crate::options::{Form, Given, Options, Value, Word, Words};
use crate::output::{by_place, local, located};

/// `attribute`, which every message's field takes.
pub(crate) const ATTRIBUTE: Word = Word::new(keys::ATTRIBUTE, Form::FlagOrText);

/// The ends of messages about an option of a field on the type, or of the type on a field.
pub(crate) const ON_FIELD: &str = "belongs on a field; this is the type itself";
pub(crate) const ON_TYPE: &str = "belongs on the type; this is a field";

/// A field that is recorded on spans.
pub(crate) struct Attribute {
    pub(crate) key: LitStr,
    pub(crate) member: Member,
    /// Whether the field is copied, since nobody may borrow it where it is.
    is_packed: bool,
}

/// A field with the options in its helper attribute.
pub(crate) struct Marked {
    pub(crate) member: Member,
    /// Its place counted from the end, the last field being first.
    pub(crate) from_end: usize,
    pub(crate) options: Options,
    /// Whether the struct is `#[repr(packed)]`.
    is_packed: bool,
}

/// The fields of a struct with their options; none for an enum, whose fields may not have any.
pub(crate) fn marked(diagnostics: &mut Diagnostics, input: &DeriveInput, words: Words, helper: &str) -> Vec<Marked> {
    match &input.data {
        Data::Struct(data) => {
            let is_packed = is_packed(&input.attrs);
            let fields = of_struct(diagnostics, data, words, helper);
            fields.into_iter().map(|marked| Marked { is_packed, ..marked }).collect()
        }
        Data::Enum(data) => {
            for variant in &data.variants {
                let fields = variant.fields.iter().flat_map(|field| &field.attrs);
                for attribute in variant.attrs.iter().chain(fields).filter(|it| it.path().is_ident(helper)) {
                    let message = format!(
                        "`#[{helper}(..)]` belongs on a field of a struct, and this is an enum; remove it, or write a struct for each variant"
                    );
                    diagnostics.error(attribute, message);
                }
            }
            Vec::new()
        }
        Data::Union(_) => Vec::new(),
    }
}

/// The item of a derive; `None` for a union, for which an impl would cause other errors.
pub(crate) fn item(diagnostics: &mut Diagnostics, item: TokenStream) -> Option<DeriveInput> {
    let input = diagnostics.take(diagnostics::parse(item, DeriveInput::parse))?;
    if let Data::Union(data) = &input.data {
        diagnostics.error(data.union_token, "a union cannot be stored; make it a struct");
        return None;
    }
    Some(input)
}

fn of_struct(diagnostics: &mut Diagnostics, data: &DataStruct, words: Words, helper: &str) -> Vec<Marked> {
    data.fields
        .members()
        .zip(&data.fields)
        .enumerate()
        .map(|(index, (member, field))| {
            let options = Options::from_attributes(diagnostics, words, &field.attrs, helper);
            Marked { member, from_end: data.fields.len() - index, options, is_packed: false }
        })
        .collect()
}

/// Reads `attribute` of a field.
pub(crate) fn attribute(diagnostics: &mut Diagnostics, marked: &mut Marked) -> Option<Attribute> {
    let Given { key, value } = marked.options.take(keys::ATTRIBUTE)?;
    let (member, is_packed) = (marked.member.clone(), marked.is_packed);
    match (value, &member) {
        (Value::Text(text), _) if text.value().is_empty() => {
            diagnostics.error(text, "the key of an attribute is empty; write `attribute = \"..\"`");
            None
        }
        (Value::Text(key), _) => Some(Attribute { key, member, is_packed }),
        (_, Member::Named(name)) => {
            let key = LitStr::new(&name.unraw().to_string(), name.span());
            Some(Attribute { key, member, is_packed })
        }
        (_, Member::Unnamed(_)) => {
            diagnostics.error(key, "a field without a name needs a key; write `attribute = \"..\"`");
            None
        }
    }
}

/// Reports keys that are given to two fields.
pub(crate) fn distinct(diagnostics: &mut Diagnostics, attributes: &[Attribute]) {
    for (index, attribute) in attributes.iter().enumerate() {
        if attributes.iter().take(index).any(|earlier| earlier.key.value() == attribute.key.value()) {
            let message = format!("attribute `{}` is given twice; keep one", attribute.key.value());
            diagnostics.error(&attribute.key, message);
        }
    }
}

/// The method that records the fields; `None` if there are none.
pub(crate) fn record(private: &TokenStream, attributes: &[Attribute]) -> TokenStream {
    if attributes.is_empty() {
        return TokenStream::new();
    }
    let (out, slot) = (local("__es_attributes"), local("__es_slot"));
    let keys = attributes.iter().map(|attribute| &attribute.key);
    let records = attributes.iter().map(|Attribute { member, is_packed, .. }| {
        let value = if *is_packed { copied(member) } else { borrowed(member) };
        quote_spanned!(Span::mixed_site()=> #private::record_field(#slot, #value))
    });
    let values = by_place(private, None, &slot, records);
    quote_spanned! {Span::mixed_site()=>
        fn attributes(&self, #out: &mut #private::Attributes) {
            #private::Attributes::each(#out, &[#(#keys),*], #values);
        }
    }
}

/// Whether a struct is `#[repr(packed)]`, also with other words or a number.
fn is_packed(attributes: &[syn::Attribute]) -> bool {
    let says = |attribute: &syn::Attribute| find(attribute.meta.to_token_stream(), "packed").is_some();
    attributes.iter().any(|attribute| attribute.path().is_ident("repr") && says(attribute))
}

/// `&{ self.field }`, placed as below.
fn copied(member: &Member) -> TokenStream {
    quote_spanned!(located(syn::spanned::Spanned::span(member))=> &{ self.#member })
}

/// `&self.field`, placed so that an error about its type is on the field.
pub(crate) fn borrowed(member: &Member) -> TokenStream {
    quote_spanned!(located(syn::spanned::Spanned::span(member))=> &self.#member)
}
