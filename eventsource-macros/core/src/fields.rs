//! Fields that a message names as attributes, with `attribute` or `attribute = "key"`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote_spanned};
use syn::parse::Parse as _;
use syn::spanned::Spanned as _;
use syn::{Data, DataStruct, DeriveInput, Field, LitStr, Member};

use crate::diagnostics::{self, Diagnostics};
use crate::keys;
use crate::names::{as_text, find};
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
        Data::Struct(DataStruct { fields, .. }) => {
            let is_packed = is_packed(&input.attrs);
            let marked = |(index, (member, field)): (usize, (Member, &Field))| {
                let options = Options::from_attributes(diagnostics, words, &field.attrs, helper);
                Marked { member, from_end: fields.len() - index, options, is_packed }
            };
            fields.members().zip(fields).enumerate().map(marked).collect()
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

/// All fields of a type; none of a union, which is a mistake.
pub(crate) fn all(input: &DeriveInput) -> Vec<&Field> {
    match &input.data {
        Data::Struct(data) => data.fields.iter().collect(),
        Data::Enum(data) => data.variants.iter().flat_map(|variant| &variant.fields).collect(),
        Data::Union(_) => Vec::new(),
    }
}

/// The item of a derive; `None` for a union, for which an impl would cause other errors.
pub(crate) fn item(diagnostics: &mut Diagnostics, item: TokenStream) -> Option<DeriveInput> {
    let input = diagnostics.take(diagnostics::parse(item, DeriveInput::parse))?;
    if let Data::Union(data) = &input.data {
        return diagnostics.none(data.union_token, "a union cannot be stored; make it a struct");
    }
    Some(input)
}

/// Reads `attribute` of a field.
pub(crate) fn attribute(diagnostics: &mut Diagnostics, marked: &mut Marked) -> Option<Attribute> {
    let Given { key, value } = marked.options.take(keys::ATTRIBUTE)?;
    let key = match (value, &marked.member) {
        (Value::Text(text), _) if text.value().is_empty() => {
            diagnostics.none(text, "the key of an attribute is empty; write `attribute = \"..\"`")
        }
        (Value::Text(key), _) => Some(key),
        (_, Member::Named(name)) => Some(as_text(name)),
        (_, Member::Unnamed(_)) => {
            diagnostics.none(key, "a field without a name needs a key; write `attribute = \"..\"`")
        }
    };
    Some(Attribute { key: key?, member: marked.member.clone(), is_packed: marked.is_packed })
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
        let place = located(member.span());
        let value = if *is_packed { quote_spanned!(place=> &{ self.#member }) } else { borrowed(member) };
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

/// `&self.field`, placed so that an error about its type is on the field.
pub(crate) fn borrowed(member: &Member) -> TokenStream {
    quote_spanned!(located(member.span())=> &self.#member)
}

#[cfg(test)]
mod tests {
    use crate::seeds::{EVENT, tokens};

    #[test]
    fn a_packed_field_is_recorded_by_a_copy() {
        let is_copied = |attribute: &str| {
            let item = format!("{attribute} struct E {{ #[event(attribute)] a: u8 }}");
            EVENT(tokens(""), tokens(&item)).to_string().contains("& { self . a }")
        };
        assert!(is_copied("#[repr(packed)]") && is_copied("#[repr(C, packed(2))]"));
        assert!(!is_copied("#[repr(C)]") && !is_copied("#[doc = \"packed\"] #[other(packed)]"));
    }
}
