//! Token streams with something changed: as a hand that types leaves them, and as `macro_rules` hands them over.

use std::str::FromStr as _;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use crate::choices::Choices;

/// Tokens that stand in for others.
const STRANGERS: [&str; 24] = [
    "",
    "x",
    "x x",
    "=",
    ",",
    "\"\"",
    "\"a-b\"",
    "0",
    "-1",
    "1.5",
    "{}",
    "()",
    "[]",
    "'a",
    "?",
    "%",
    "=>",
    "#[event]",
    "..",
    "r#type",
    "self",
    "b\"x\"",
    "4294967295",
    "99999999999999999999999999",
];

/// Fragments of random input.
const FRAGMENTS: [&str; 57] = [
    "name",
    "=",
    ",",
    "\"x\"",
    "1",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "<",
    ">",
    "::",
    "'a",
    "'_",
    "&",
    "mut",
    "fn",
    "impl",
    "struct",
    "enum",
    "union",
    "self",
    "Self",
    "async",
    "await",
    "->",
    "=>",
    "#",
    "!",
    "?",
    "%",
    ".",
    ";",
    ":",
    "where",
    "for",
    "trait",
    "pub",
    "const",
    "unsafe",
    "extern \"C\"",
    "dyn",
    "crate",
    "attributes",
    "event",
    "command",
    "id",
    "aggregate",
    "attribute",
    "projection",
    "process_manager",
    "Recorded<A>",
    "E",
    "T",
    "return",
];

/// The stream with one token changed, however deep.
pub(crate) fn changed(choices: &mut Choices<'_>, stream: TokenStream) -> TokenStream {
    let mut trees: Vec<TokenTree> = stream.into_iter().collect();
    if trees.is_empty() {
        return stranger(choices);
    }
    let index = choices.below(trees.len());
    if let TokenTree::Group(group) = &trees[index]
        && !choices.one_in(4)
    {
        let mut changed = Group::new(group.delimiter(), self::changed(choices, group.stream()));
        changed.set_span(group.span());
        trees[index] = changed.into();
        return trees.into_iter().collect();
    }
    match choices.below(4) {
        0 => drop(trees.remove(index)),
        1 => trees.insert(index, trees[index].clone()),
        2 => {
            let other = choices.below(trees.len());
            trees.swap(index, other);
        }
        _ => {
            let stranger: Vec<TokenTree> = stranger(choices).into_iter().collect();
            trees.splice(index..=index, stranger);
        }
    }
    trees.into_iter().collect()
}

fn stranger(choices: &mut Choices<'_>) -> TokenStream {
    TokenStream::from_str(choices.pick(&STRANGERS)).unwrap_or_default()
}

/// The stream with invisible groups around some tokens, as the fragments of `macro_rules` have them.
pub(crate) fn grouped(choices: &mut Choices<'_>, stream: TokenStream) -> TokenStream {
    let wrap = |choices: &mut Choices<'_>, tree: TokenTree| {
        let tree = match tree {
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), grouped(choices, group.stream()));
                inner.set_span(group.span());
                inner.into()
            }
            tree => tree,
        };
        // Types, expressions and literals come so; words of the language and brackets around items do not.
        let may_be = match &tree {
            TokenTree::Ident(word) => word.to_string().starts_with(char::is_uppercase),
            TokenTree::Group(group) => group.delimiter() == Delimiter::Parenthesis && choices.one_in(8),
            TokenTree::Literal(_) => true,
            TokenTree::Punct(_) => false,
        };
        if !may_be || !choices.one_in(12) {
            return tree;
        }
        let span = tree.span();
        let mut group = Group::new(Delimiter::None, tree.into());
        group.set_span(span);
        group.into()
    };
    stream.into_iter().map(|tree| wrap(choices, tree)).collect()
}

/// Tokens at random, with their brackets in balance.
pub(crate) fn random(choices: &mut Choices<'_>) -> String {
    let mut text = String::new();
    let mut open = Vec::new();
    for _ in 0..choices.below(48) {
        let fragment = choices.pick(&FRAGMENTS);
        match fragment {
            "(" | "{" | "[" if open.len() < 6 => open.push(fragment),
            "(" | "{" | "[" => continue,
            ")" | "}" | "]" => {
                close(&mut text, open.pop());
                continue;
            }
            _ => (),
        }
        text.push_str(fragment);
        text.push(' ');
    }
    while let Some(bracket) = open.pop() {
        close(&mut text, Some(bracket));
    }
    text
}

fn close(text: &mut String, bracket: Option<&str>) {
    text.push_str(match bracket {
        Some("(") => ") ",
        Some("{") => "} ",
        Some(_) => "] ",
        None => "",
    });
}
