//! Single tokens, where syntax is not parsed.

use proc_macro2::{Delimiter, TokenTree};

pub(crate) fn is_sign<'a>(tree: impl Into<Option<&'a TokenTree>>, sign: char) -> bool {
    matches!(tree.into(), Some(TokenTree::Punct(it)) if it.as_char() == sign)
}

pub(crate) fn is_word(tree: &TokenTree, word: &str) -> bool {
    matches!(tree, TokenTree::Ident(it) if it == word)
}

/// Whether it is the arguments of a call, in parentheses.
pub(crate) fn is_call<'a>(tree: impl Into<Option<&'a TokenTree>>) -> bool {
    matches!(tree.into(), Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis)
}

/// The token itself, which a macro's `$name:literal` or `$body:block` wraps into an invisible group.
pub(crate) fn alone(tree: TokenTree) -> Option<TokenTree> {
    match tree {
        TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
            let mut inside = group.stream().into_iter();
            inside.next().filter(|_| inside.next().is_none()).and_then(alone)
        }
        tree => Some(tree),
    }
}
