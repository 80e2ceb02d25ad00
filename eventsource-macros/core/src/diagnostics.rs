//! Mistakes in what the user wrote: all are collected, and reported together.

use std::fmt::Display;

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::Type;
use syn::parse::{ParseStream, Parser as _};

/// The mistakes found so far in one item.
#[must_use]
#[derive(Default)]
pub(crate) struct Diagnostics {
    errors: Vec<syn::Error>,
}

impl Diagnostics {
    /// Reports a mistake at the tokens that are at fault.
    pub(crate) fn error(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.errors.push(syn::Error::new_spanned(tokens, message));
    }

    /// Reports a mistake in place of the value that it leaves out.
    pub(crate) fn none<T>(&mut self, tokens: impl ToTokens, message: impl Display) -> Option<T> {
        self.error(tokens, message);
        None
    }

    /// Reports what a parser found.
    pub(crate) fn push(&mut self, error: syn::Error) {
        self.errors.push(error);
    }

    /// How many mistakes were reported.
    pub(crate) fn count(&self) -> usize {
        self.errors.len()
    }

    /// The value, or `None` after the mistake was reported.
    pub(crate) fn take<T>(&mut self, parsed: syn::Result<T>) -> Option<T> {
        parsed.map_err(|error| self.push(error)).ok()
    }

    /// A type in place of what a mistake left out, which causes no other error: an array whose length is the last
    /// mistake. The compiler shows a repeated error once, and accepts a type with an error wherever it is used.
    pub(crate) fn hole(&self) -> Type {
        let reported = self.errors.last().cloned().and_then(|error| error.into_iter().next());
        let hole = reported.map_or_else(TokenStream::new, syn::Error::into_compile_error);
        Type::Verbatim(quote!([(); #hole]))
    }

    /// One `compile_error!` per mistake.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.errors.into_iter().map(syn::Error::into_compile_error).collect()
    }
}

/// Parses all of the tokens. An error at their end is put on the last of them; otherwise it would be on the whole
/// attribute, the macro's call site.
pub(crate) fn parse<T>(tokens: TokenStream, parser: impl FnOnce(ParseStream<'_>) -> syn::Result<T>) -> syn::Result<T> {
    let last = tokens.clone().into_iter().last().map_or_else(Span::call_site, |last| match last {
        TokenTree::Group(group) => group.span_close(),
        token => token.span(),
    });
    let mut within = Group::new(Delimiter::Brace, tokens);
    within.set_span(last);
    let parser = |input: ParseStream<'_>| {
        let content;
        syn::braced!(content in input);
        parser(&content)
    };
    parser.parse2(within.into_token_stream())
}

/// Runs an expansion, and adds the mistakes that it reported.
pub(crate) fn report(expand: impl FnOnce(&mut Diagnostics) -> TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let mut tokens = expand(&mut diagnostics);
    tokens.extend(diagnostics.into_tokens());
    tokens
}

/// Source as a message shows it: without the spaces between tokens.
pub(crate) fn shown(tokens: impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    for (spaced, tight) in
        [("& ", "&"), (" :: ", "::"), (" :", ":"), (" <", "<"), ("< ", "<"), (" >", ">"), (" ,", ","), (" ;", ";")]
    {
        text = text.replace(spaced, tight);
    }
    text
}

/// The end of a message about an unknown word: what was probably meant, or else what is allowed.
pub(crate) fn hint(written: &str, known: &[&'static str]) -> String {
    match nearest(written, known) {
        Some(word) => format!("did you mean `{word}`?"),
        None if known.is_empty() => "there is none here, so remove it".to_owned(),
        None => format!("there {}", list(known)),
    }
}

/// The word that was probably meant: it differs by a third of its letters at most, or one is a prefix of the other.
pub(crate) fn nearest(written: &str, known: &[&'static str]) -> Option<&'static str> {
    let (steps, word) = known.iter().map(|word| (distance(written, word), *word)).min()?;
    if steps * 3 <= word.len().max(written.len()) {
        return Some(word);
    }
    let begins = |word: &&&str| word.starts_with(written) || written.starts_with(**word);
    known.iter().find(begins).copied().filter(|word| written.len() >= 3 && word.len() >= 3)
}

fn list(known: &[&str]) -> String {
    let quoted: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => format!("is only {last}"),
        Some((last, others)) => format!("are {} and {last}", others.join(", ")),
        None => String::new(),
    }
}

/// How many letters must be added, removed, replaced or swapped with a neighbor.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    let mut last = None;
    for (row, letter) in from.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let swapped = last == Some(*other) && column > 0 && to.get(column - 1) == Some(&letter);
            let steps = [
                above.get(column).map(|steps| steps + usize::from(letter != *other)),
                above.get(column + 1).map(|steps| steps + 1),
                current.last().map(|steps| steps + 1),
                before.get(column.wrapping_sub(1)).filter(|_| swapped).map(|steps| steps + 1),
            ];
            current.push(steps.into_iter().flatten().min().unwrap_or(0));
        }
        before = std::mem::replace(&mut above, current);
        last = Some(letter);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_steps_between_words() {
        assert_eq!(distance("name", "name"), 0);
        assert_eq!(distance("nmae", "name"), 1);
        assert_eq!(distance("atributes", "attributes"), 1);
        assert_eq!(distance("", "id"), 2);
        assert_eq!(distance("kitten", "sitting"), 3);
        // One letter of each is the other's neighbor, which makes no swap.
        assert_eq!(distance("ab", "bc"), 2);
    }

    #[test]
    fn suggests_a_near_word_and_lists_the_words_otherwise() {
        assert_eq!(hint("verison", &["name", "version"]), "did you mean `version`?");
        assert_eq!(hint("colour", &["name", "version", "alias"]), "there are `name`, `version` and `alias`");
        assert_eq!(hint("colour", &["name"]), "there is only `name`");
        assert_eq!(hint("colour", &[]), "there is none here, so remove it");
    }

    #[test]
    fn the_beginning_of_a_word_is_near_it() {
        assert_eq!(nearest("err", &["name", "error"]), Some("error"));
        assert_eq!(nearest("events_list", &["name", "events"]), Some("events"));
        assert_eq!(nearest("er", &["name", "error"]), None);
        assert_eq!(nearest("identity", &["name", "id"]), None);
        assert_eq!(nearest("abcd", &["abxy"]), None);
        assert_eq!(nearest("abcdef", &["abcdxy"]), Some("abcdxy"));
    }

    #[test]
    fn what_is_missing_at_the_end_stands_on_the_last_token() {
        let tokens = "struct A { b: u8".parse::<TokenStream>();
        assert!(tokens.is_err());
        let tokens: TokenStream = "enum (a)".parse().expect("the test's own tokens");
        let error = parse(tokens, |input| input.parse::<syn::Item>().map(|_| ())).expect_err("it is no item");
        assert_eq!(error.span().source_text().as_deref(), Some("("));
        let tokens: TokenStream = "fn f() ->".parse().expect("the test's own tokens");
        let error = parse(tokens, |input| input.parse::<syn::Item>().map(|_| ())).expect_err("it is no item");
        assert_eq!(error.span().source_text().as_deref(), Some(">"));
        let tokens: TokenStream = "a b".parse().expect("the test's own tokens");
        let error = parse(tokens, |input| input.parse::<syn::Ident>().map(|_| ())).expect_err("there is more");
        assert_eq!(error.span().source_text().as_deref(), Some("b"));
    }

    #[test]
    fn reports_every_mistake() {
        let tokens = report(|diagnostics| {
            diagnostics.error(quote::quote!(a), "first");
            diagnostics.error(quote::quote!(b), "second");
            TokenStream::new()
        });
        assert_eq!(tokens.to_string().matches("compile_error").count(), 2);
    }
}
