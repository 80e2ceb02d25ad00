//! Finds what expressions use of a scope's names, and the checks for it.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, Group, Literal, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, quote_spanned};
use syn::ext::IdentExt as _;
use syn::{Ident, Type};

use super::scope::{Bound, Scope};
use super::within::bound_within;
use super::{hash, whole};
use crate::names::in_text;
use crate::output::{local, located};
use crate::paths::Runtime;
use crate::tokens::{is_call, is_sign, is_word};
use crate::traced::Value;

pub(super) struct Found<'a> {
    scope: &'a Scope,
    /// What the expression binds itself.
    within: Vec<Bound>,
    runtime: &'a Runtime,
    pub(super) seen: BTreeSet<(String, String)>,
    pub(super) checks: TokenStream,
}

impl<'a> Found<'a> {
    pub(super) fn new(scope: &'a Scope, runtime: &'a Runtime) -> Self {
        Self { scope, within: Vec::new(), runtime, seen: BTreeSet::new(), checks: TokenStream::new() }
    }

    pub(super) fn value(&mut self, value: &Value) {
        if let Some(expr) = value.expr() {
            self.within = bound_within(self.scope, expr);
            self.look(expr.to_token_stream(), false);
        }
    }

    /// Looks for `argument.field`, including the arguments of macros, whose tokens nobody else reads; `is_macro` says
    /// that these are such tokens.
    fn look(&mut self, tokens: TokenStream, is_macro: bool) {
        let mut before = None;
        // The macro whose arguments come next.
        let mut called = None;
        let mut trees = tokens.into_iter();
        while let Some(tree) = trees.next() {
            match &tree {
                TokenTree::Group(group) => {
                    let called = called.take();
                    if called.as_ref().is_some_and(shows) {
                        self.arguments(group.stream());
                    }
                    self.look(group.stream(), is_macro || called.is_some());
                    if called.is_none() && !is_given(group, before.as_ref()) {
                        let field = field(trees.clone());
                        for ident in values(tree.clone().into()) {
                            self.name(&ident.unraw().to_string(), field.as_ref(), ident.span());
                        }
                    }
                }
                TokenTree::Ident(ident) if !is_sign(&before, '.') => {
                    called = is_sign(&trees.clone().next(), '!').then(|| ident.clone());
                    self.name(&ident.unraw().to_string(), field(trees.clone()).as_ref(), ident.span());
                }
                TokenTree::Literal(text) if is_macro => self.text(text),
                _ => (),
            }
            before = Some(tree);
        }
    }

    fn name(&mut self, name: &str, field: Option<&TokenTree>, span: Span) {
        for bound in self.known(|bound| bound.name == name) {
            match (&bound.field, field) {
                (Some(name), _) => self.add(&bound.ty, name, span),
                (None, Some(TokenTree::Ident(name))) => self.add(&bound.ty, &name.unraw().to_string(), name.span()),
                (None, Some(TokenTree::Literal(index))) => {
                    // `.0.1` as well, which is one token.
                    let index_text = index.to_string();
                    let field = index_text.split('.').next().unwrap_or_default();
                    self.add(&bound.ty, field, index.span());
                }
                _ => (),
            }
        }
    }

    fn known(&self, is_meant: impl Fn(&Bound) -> bool) -> Vec<Bound> {
        self.scope.bound.iter().chain(&self.within).filter(|bound| is_meant(bound)).cloned().collect()
    }

    /// Looks for `argument` or `&argument` alone, which would be shown as a whole, also in a tuple or a list, or at a
    /// block's end.
    fn whole(&mut self, tokens: TokenStream) {
        match single(tokens) {
            Some(TokenTree::Ident(ident)) => self.shown(&ident.unraw().to_string(), ident.span()),
            Some(TokenTree::Group(group)) => elements(&group).into_iter().for_each(|element| self.whole(element)),
            _ => (),
        }
    }

    fn shown(&mut self, name: &str, span: Span) {
        for bound in self.known(|bound| bound.field.is_none() && bound.name == name) {
            self.add(&bound.ty, "", span);
        }
    }

    /// The arguments of `format!` and the like, with or without a name.
    fn arguments(&mut self, tokens: TokenStream) {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        for argument in trees.split(|tree| is_sign(tree, ',')) {
            let value = match argument {
                [TokenTree::Ident(_), equals, value @ ..] if is_sign(equals, '=') => value,
                value => value,
            };
            self.whole(value.iter().cloned().collect());
        }
    }

    /// Looks for `{argument}` in a macro's format string, and for `{field}` bound by a pattern.
    fn text(&mut self, literal: &Literal) {
        for name in in_text(literal) {
            self.name(&name, None, literal.span());
            self.shown(&name, literal.span());
        }
    }

    /// Checks the field of that name; without a name, all of them.
    fn add(&mut self, ty: &Type, name: &str, span: Span) {
        if self.seen.insert((ty.to_token_stream().to_string(), name.to_owned())) {
            let (private, at) = (self.runtime.private(), self.runtime.private_at(located(span)));
            let field = if name.is_empty() { whole(&private) } else { hash(&private, name) };
            let [check, of, named, shown] = ["may_be_seen", "Field", "named", "__es_shown"].map(local);
            self.checks.extend(quote_spanned! {located(span)=>
                #at::#check::<_>(#at::#of::<#ty, #field>::#named().#shown());
            });
        }
    }
}

/// Whether a macro shows its arguments.
fn shows(called: &Ident) -> bool {
    ["format", "format_args", "write", "writeln"].iter().any(|name| called == name)
}

/// Methods of the standard library that return the same value, or one out of a list.
pub(super) const SAME: [&str; 25] = [
    "as_deref",
    "as_mut",
    "as_ref",
    "as_slice",
    "borrow",
    "clone",
    "cloned",
    "copied",
    "deref",
    "expect",
    "first",
    "get",
    "into_iter",
    "iter",
    "iter_mut",
    "last",
    "lock",
    "next",
    "ok",
    "read",
    "rev",
    "to_owned",
    "unwrap",
    "unwrap_or",
    "values",
];

/// Those among them that return an iterator.
const ITERATING: [&str; 4] = ["into_iter", "iter", "iter_mut", "values"];

/// Methods of iterators that do the same; elsewhere they are common names.
pub(super) const OF_ITERATORS: [&str; 11] = [
    "enumerate",
    "filter",
    "find",
    "inspect",
    "max_by_key",
    "min_by_key",
    "nth",
    "skip",
    "skip_while",
    "take",
    "take_while",
];

/// The tokens after `[index]` and `.clone()`.
fn past_same<I: Iterator<Item = TokenTree> + Clone>(mut trees: I) -> I {
    let is_one_of = |methods: &[&str], method: &Ident| methods.iter().any(|same| method == same);
    let mut iterates = false;
    loop {
        let mut ahead = trees.clone();
        let next = ahead.next();
        let mut is_same = || match ahead.next() {
            Some(TokenTree::Ident(method)) => {
                let is_same = is_one_of(&SAME, &method) || iterates && is_one_of(&OF_ITERATORS, &method);
                iterates |= is_one_of(&ITERATING, &method);
                is_same && is_call(&ahead.next())
            }
            _ => false,
        };
        if !(next.as_ref().is_some_and(is_index) || is_sign(&next, '.') && is_same()) {
            return trees;
        }
        trees = ahead;
    }
}

/// The token after `&`, `*` and `unsafe`, if only methods of `SAME` and indices follow.
fn single(tokens: TokenStream) -> Option<TokenTree> {
    let is_before = |tree: &TokenTree| is_word(tree, "unsafe") || is_sign(tree, '&') || is_sign(tree, '*');
    let mut trees = tokens.into_iter().skip_while(is_before);
    trees.next().filter(|_| past_same(trees).next().is_none())
}

/// The elements of a list or a tuple, or the end of a block.
fn elements(group: &Group) -> Vec<TokenStream> {
    let trees: Vec<TokenTree> = group.stream().into_iter().collect();
    let split = |sign| trees.split(move |tree| is_sign(tree, sign)).map(|element| element.iter().cloned().collect());
    match group.delimiter() {
        Delimiter::Brace => split(';').next_back().into_iter().collect(),
        _ => split(',').collect(),
    }
}

/// The names whose value an expression may be, also in parentheses, in a list, and in another macro's `$expr`.
pub(super) fn values(tokens: TokenStream) -> Vec<Ident> {
    match single(tokens) {
        Some(TokenTree::Ident(ident)) => vec![ident],
        Some(TokenTree::Group(group)) => {
            let elements = elements(&group);
            // A field of a tuple is the tuple's own.
            let is_tuple = group.delimiter() != Delimiter::Bracket && elements.len() > 1;
            elements.into_iter().filter(|_| !is_tuple).flat_map(values).collect()
        }
        _ => Vec::new(),
    }
}

/// The field of the preceding value, or of one in it: `.field`, `[index].field`, `.clone().field`; not a method.
fn field(trees: impl Iterator<Item = TokenTree> + Clone) -> Option<TokenTree> {
    let mut trees = past_same(trees);
    let field = is_sign(&trees.next(), '.').then(|| trees.next()).flatten();
    field.filter(|_| !is_call(&trees.next()))
}

/// Whether a group belongs to the preceding token: arguments, an index, or a struct's fields, also after its type
/// parameters.
fn is_given(group: &Group, before: Option<&TokenTree>) -> bool {
    match before {
        // A keyword takes no arguments.
        Some(TokenTree::Ident(ident)) => syn::parse2::<Ident>(ident.to_token_stream()).is_ok(),
        Some(TokenTree::Group(_)) => true,
        before => group.delimiter() == Delimiter::Brace && is_sign(before, '>'),
    }
}

fn is_index(tree: &TokenTree) -> bool {
    matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket)
}
