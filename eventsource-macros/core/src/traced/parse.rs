//! What was written: the function and its options.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::quote;
use syn::{Attribute, Lit, LitStr};

use super::attributes::{self, Entry};
use super::covers::COVERS;
use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::options::{Form, Options, Word, Words};
use crate::output::like;
use crate::paths;
use crate::signature::{Function, parse_item};
use crate::tokens::alone;

const NAME_FIRST: &str = "stands first and without the word; write `#[traced(\"component.operation\")]`";
const UNNAMED: &str = "has no place here: nothing is recorded but what `attributes(..)` names; remove this";

pub(crate) const OPTIONS: Words = Words::new(&[
    Word::new(keys::ATTRIBUTES, Form::List("\"key\" = expression")),
    Word::new(keys::RECORD, Form::List("\"key\" = result.len()")),
    Word::new(keys::FAULT, Form::FunctionOrClosure),
    Word::new(keys::KIND, Form::Text),
    Word::new(keys::LINKS, Form::Expr),
    Word::new(keys::PARENT, Form::Expr),
    Word::new(keys::ROOT, Form::Flag),
    Word::new(keys::COVERS, Form::OneOf(&COVERS)),
    Word::new(keys::ENABLE_TRACING, Form::Expr),
    paths::CRATE,
])
.with_elsewhere(&[
    (keys::NAME, NAME_FIRST),
    // What users of `tracing` write.
    ("fields", "is called `attributes` here; write `attributes(..)`"),
    ("err", "is not needed, since an `Err` is recorded by itself; remove this"),
    ("ret", "shows all that is returned; name what to show, as in `record(\"key\" = result.len())`"),
    ("level", "has no meaning for a span; remove this, or write `enable_tracing = ..` to leave the span out"),
    ("skip", UNNAMED),
    ("skip_all", UNNAMED),
])
.with_text(
    "the span's name stands first; move this to the front",
    "the span's name is written out, as in `#[traced(\"component.operation\")]`",
);

/// The options of a `#[traced]`; on a handler's method only its attributes and switch are used.
pub(crate) struct Written {
    pub(crate) name: Option<LitStr>,
    pub(crate) attributes: Vec<Entry>,
    /// All but the attributes.
    pub(crate) options: Options,
}

pub(super) struct Parsed {
    pub(super) written: Written,
    pub(super) record: Vec<Entry>,
    pub(super) function: Function,
}

pub(super) fn parse(diagnostics: &mut Diagnostics, options: TokenStream, item: TokenStream) -> Option<Parsed> {
    let mut written = read(diagnostics, options);
    let record = written.options.list(keys::RECORD).map(|list| attributes::read(diagnostics, list.stream()));
    let record = record.unwrap_or_default();
    attributes::distinct(diagnostics, &written.attributes, &record);
    let mut function: Function = parse_item(diagnostics, item, "fn", "`#[traced]` belongs on a function or a method")?;
    for attribute in function.take_attributes(keys::TRACED) {
        diagnostics.error(attribute, "`#[traced]` is given twice; keep one");
    }
    hoist_inner_attributes(&mut function);
    Some(Parsed { written, record, function })
}

/// Reads the options; the name, a literal, comes first.
pub(crate) fn read(diagnostics: &mut Diagnostics, options: TokenStream) -> Written {
    let mut rest = options.clone().into_iter();
    let name = match rest.next().and_then(alone) {
        Some(TokenTree::Literal(name)) => Some(name),
        _ => None,
    };
    let tokens = match (&name, rest.next()) {
        (None, _) => options,
        (Some(_), None) => TokenStream::new(),
        (Some(_), Some(TokenTree::Punct(comma))) if comma.as_char() == ',' => rest.collect(),
        (Some(_), Some(other)) => {
            diagnostics.error(other, "expected `,` after the span's name");
            TokenStream::new()
        }
    };
    let name = name.and_then(|literal| match Lit::new(literal) {
        Lit::Str(name) => Some(name),
        other => diagnostics.none(other, "the span's name is a text; write `#[traced(\"component.operation\")]`"),
    });
    let mut options = Options::parse(diagnostics, OPTIONS, tokens);
    let attributes = options.list(keys::ATTRIBUTES).map(|list| attributes::read(diagnostics, list.stream()));
    Written { name, attributes: attributes.unwrap_or_default(), options }
}

/// Moves inner attributes of the body to the function, since the body becomes a closure's.
fn hoist_inner_attributes(function: &mut Function) {
    let Some(body) = &function.body else { return };
    let mut rest = body.stream();
    let outer = function.attrs.len();
    while let Some((attribute, others)) = inner_attribute(&rest) {
        function.attrs.push(attribute);
        rest = others;
    }
    // A body that is put together anew has its braces in one place, where a mistake in it would be reported once more.
    if function.attrs.len() > outer {
        function.body = Some(like(body, rest));
    }
}

fn inner_attribute(tokens: &TokenStream) -> Option<(Attribute, TokenStream)> {
    let mut rest = tokens.clone().into_iter();
    match (rest.next()?, rest.next()?, rest.next()?) {
        (TokenTree::Punct(hash), TokenTree::Punct(bang), TokenTree::Group(inside))
            if hash.as_char() == '#' && bang.as_char() == '!' && inside.delimiter() == Delimiter::Bracket =>
        {
            let attribute = syn::parse::Parser::parse2(Attribute::parse_outer, quote!(#hash #inside)).ok()?;
            Some((attribute.into_iter().next()?, rest.collect()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proc_macro2::Group;
    use quote::ToTokens as _;

    use super::*;
    use crate::seeds::in_group;

    fn hoisted(source: &str) -> String {
        let mut function: Function = syn::parse_str(source).expect("the test's own function");
        hoist_inner_attributes(&mut function);
        function.into_token_stream().to_string()
    }

    #[test]
    fn after_the_name_comes_a_comma_and_nothing_else() {
        let reported = |options: TokenStream| {
            let mut diagnostics = Diagnostics::default();
            let written = read(&mut diagnostics, options);
            (written.name.is_some(), diagnostics.into_tokens().to_string().contains("expected `,` after"))
        };
        assert_eq!(reported(quote!("a", root)), (true, false));
        assert_eq!(reported(quote!("a"; root)), (true, true));
        assert_eq!(reported(quote!("a" root)), (true, true));
    }

    #[test]
    fn a_name_from_a_macro_stands_in_a_group_that_cannot_be_seen() {
        let named = |first: TokenTree| {
            let mut diagnostics = Diagnostics::default();
            let written = read(&mut diagnostics, quote!(#first, root));
            (written.name.map(|name| name.value()), diagnostics.count())
        };
        assert_eq!(named(in_group(quote!("a"))), (Some("a".to_owned()), 0));
        assert_eq!(named(in_group(in_group(quote!("a")).into())), (Some("a".to_owned()), 0));
        assert_eq!(named(in_group(quote!("a" "b"))), (None, 1));
        assert_eq!(named(TokenTree::from(Group::new(Delimiter::Parenthesis, quote!("a")))), (None, 1));
    }

    #[test]
    fn attributes_within_the_body_come_before_the_function() {
        let moved = hoisted("#[a] fn f() { #![b] #![c(d)] #[e] let x = !x; x }");
        assert_eq!(moved, "# [a] # [b] # [c (d)] fn f () { # [e] let x = ! x ; x }");
        assert_eq!(hoisted("fn f() { #![b] }"), "# [b] fn f () { }");
    }

    #[test]
    fn what_only_begins_like_one_stays_in_the_body() {
        for body in ["# [b] ! c", "! ! [b]", "# ! (b)", "# # [b]", "# !", "[b]"] {
            assert_eq!(hoisted(&format!("fn f() {{ {body} }}")), format!("fn f () {{ {body} }}"));
        }
    }
}
