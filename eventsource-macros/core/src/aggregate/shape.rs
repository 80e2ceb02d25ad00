//! A number for the shape of a state: it changes when the serialized form of the fields may have changed.
//!
//! It is made from single tokens, since compilers differ in how they print them.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::{Attribute, Data, DeriveInput, Fields};

/// Hashes the names and types of the fields, the variants, and all `serde` attributes, but not the type's own name,
/// visibilities or comments, which do not change what is written.
pub(super) fn hash(input: &DeriveInput) -> u64 {
    let mut hash = Hash(0xcbf2_9ce4_8422_2325);
    hash.serde(&input.attrs);
    match &input.data {
        Data::Struct(data) => hash.fields(&data.fields),
        Data::Enum(data) => {
            for variant in &data.variants {
                hash.serde(&variant.attrs);
                hash.text("variant", &variant.ident.unraw().to_string());
                hash.fields(&variant.fields);
            }
        }
        // A mistake, which is reported elsewhere.
        Data::Union(_) => {}
    }
    hash.0
}

/// FNV-1a.
struct Hash(u64);

impl Hash {
    fn fields(&mut self, fields: &Fields) {
        let form = match fields {
            Fields::Named(_) => "{}",
            Fields::Unnamed(_) => "()",
            Fields::Unit => "",
        };
        self.text("fields", form);
        for field in fields {
            self.serde(&field.attrs);
            let name = field.ident.as_ref().map(|ident| ident.unraw().to_string());
            self.text("field", &name.unwrap_or_default());
            self.tokens(field.ty.to_token_stream());
        }
    }

    fn serde(&mut self, attributes: &[Attribute]) {
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
            self.text("attribute", "serde");
            self.tokens(attribute.meta.to_token_stream());
        }
    }

    fn tokens(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => {
                    let form = match group.delimiter() {
                        Delimiter::Parenthesis => "()",
                        Delimiter::Brace => "{}",
                        Delimiter::Bracket => "[]",
                        Delimiter::None => "",
                    };
                    self.text("group", form);
                    self.tokens(group.stream());
                    self.text("end", form);
                }
                TokenTree::Ident(ident) => self.text("ident", &ident.unraw().to_string()),
                TokenTree::Punct(punct) => self.text("punct", punct.as_char().encode_utf8(&mut [0; 4])),
                TokenTree::Literal(literal) => self.text("literal", &literal.to_string()),
            }
        }
    }

    /// Terminates each part, so that no two lists of parts hash alike.
    fn text(&mut self, kind: &str, text: &str) {
        for byte in kind.bytes().chain([0]).chain(text.bytes()).chain([0]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn hash_of(source: &str) -> u64 {
        hash(&syn::parse_str(source).expect("the test's own tokens"))
    }

    #[test]
    fn what_changes_nothing_that_is_written_leaves_it() {
        let first = hash_of("struct A { lines: Vec<Line>, open: bool }");
        for same in [
            "struct B { lines: Vec<Line>, open: bool, }",
            "pub struct A { pub(crate) lines : Vec < Line > , /** comment */ pub open: bool }",
            "#[derive(Clone)] struct A { #[allow(unused)] lines: Vec<Line>, r#open: bool }",
        ] {
            assert_eq!(hash_of(same), first, "{same}");
        }
    }

    #[test]
    fn what_may_change_it_tells_apart() {
        let shapes = [
            "struct A;",
            "struct A {}",
            "struct A();",
            "struct A(u8);",
            "struct A(u8, u8);",
            "struct A { a: u8 }",
            "struct A { b: u8 }",
            "struct A { a: u16 }",
            "struct A { a: u8, b: u8 }",
            "struct A { b: u8, a: u8 }",
            "struct A { #[serde(rename = \"b\")] a: u8 }",
            "#[serde(rename_all = \"camelCase\")] struct A { a: u8 }",
            "struct A { a: (u8) }",
            "struct A { a: [u8] }",
            "enum A { B, C }",
            "enum A { C, B }",
            "enum A { B(u8), C }",
            "enum A { B { a: u8 }, C }",
            "enum A { #[serde(rename = \"b\")] B, C }",
        ];
        let hashes: HashSet<_> = shapes.iter().map(|shape| hash_of(shape)).collect();
        assert_eq!(hashes.len(), shapes.len());
    }
}
