//! What expressions say of what a scope binds, and the checks that go beside them.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, Literal, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, quote_spanned};
use syn::ext::IdentExt as _;
use syn::{Ident, Lit, Type};

use super::{Scope, hash, whole};
use crate::output::{local, located};
use crate::paths::Runtime;
use crate::traced::Value;

pub(super) struct Found<'a> {
    scope: &'a Scope,
    runtime: &'a Runtime,
    pub(super) seen: BTreeSet<(String, String)>,
    pub(super) checks: TokenStream,
}

impl<'a> Found<'a> {
    pub(super) fn new(scope: &'a Scope, runtime: &'a Runtime) -> Self {
        Self { scope, runtime, seen: BTreeSet::new(), checks: TokenStream::new() }
    }

    pub(super) fn value(&mut self, value: &Value) {
        if let Value::Display(expr) | Value::Debug(expr) = value {
            self.whole(expr.to_token_stream());
        }
        if let Some(expr) = value.expr() {
            self.look(expr.to_token_stream(), false);
        }
    }

    /// Looks for `argument.field`, also in the arguments of a macro, whose tokens nobody else reads; `is_macro` says
    /// that these are such.
    fn look(&mut self, tokens: TokenStream, is_macro: bool) {
        let mut before = None;
        // The macro that is about to be called.
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
                    let is_given = called.is_some() || is_callee(before.as_ref());
                    if let Some(ident) = alone(tree.clone().into()).filter(|_| !is_given) {
                        self.name(&ident.unraw().to_string(), field(trees.clone()).as_ref(), ident.span());
                    }
                }
                TokenTree::Ident(ident) if !is(before.as_ref(), '.') => {
                    called = is(trees.clone().next().as_ref(), '!').then(|| ident.clone());
                    self.name(&ident.unraw().to_string(), field(trees.clone()).as_ref(), ident.span());
                }
                TokenTree::Literal(text) if is_macro => self.text(text),
                _ => (),
            }
            before = Some(tree);
        }
    }

    fn name(&mut self, name: &str, field: Option<&TokenTree>, span: Span) {
        let scope = self.scope;
        for bound in scope.bound.iter().filter(|bound| bound.name == name) {
            match (&bound.field, field) {
                (Some(name), _) => self.add(&bound.ty, name, span),
                (None, Some(TokenTree::Ident(name))) => self.add(&bound.ty, &name.unraw().to_string(), name.span()),
                (None, Some(TokenTree::Literal(index))) => {
                    // Of `.0.1` as well, which is one token.
                    let index_text = index.to_string();
                    let field = index_text.split('.').next().unwrap_or_default();
                    self.add(&bound.ty, field, index.span());
                }
                _ => (),
            }
        }
    }

    /// `argument` or `&argument` alone, of which everything would be shown, or several of them in a tuple or a list.
    fn whole(&mut self, tokens: TokenStream) {
        match single(tokens) {
            Some(TokenTree::Ident(ident)) => self.shown(&ident.unraw().to_string(), ident.span()),
            Some(TokenTree::Group(group)) => self.arguments(group.stream()),
            _ => (),
        }
    }

    fn shown(&mut self, name: &str, span: Span) {
        let scope = self.scope;
        for bound in scope.bound.iter().filter(|bound| bound.field.is_none() && bound.name == name) {
            self.add(&bound.ty, "", span);
        }
    }

    /// The arguments of `format!` and the like, with or without a name.
    fn arguments(&mut self, tokens: TokenStream) {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        for argument in trees.split(|tree| is(Some(tree), ',')) {
            let value = match argument {
                [TokenTree::Ident(_), equals, value @ ..] if is(Some(equals), '=') => value,
                value => value,
            };
            self.whole(value.iter().cloned().collect());
        }
    }

    /// `{argument}` in the text of a macro's, and `{field}` that a pattern took out of one.
    fn text(&mut self, literal: &Literal) {
        let Lit::Str(text) = Lit::new(literal.clone()) else { return };
        for hole in text.value().replace("{{", "").split('{').skip(1) {
            let name = hole.split(['}', ':']).next().unwrap_or_default().trim();
            self.name(name, None, literal.span());
            self.shown(name, literal.span());
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

fn is(tree: Option<&TokenTree>, punct: char) -> bool {
    matches!(tree, Some(TokenTree::Punct(it)) if it.as_char() == punct)
}

/// What stands behind `&` and `*`, if that is all there is, but for an index.
fn single(tokens: TokenStream) -> Option<TokenTree> {
    let mut trees = tokens.into_iter().skip_while(|tree| is(Some(tree), '&') || is(Some(tree), '*'));
    trees.next().filter(|_| trees.all(|tree| is_index(&tree)))
}

/// The name that an expression is, also in parentheses and as another macro's `$expr`.
fn alone(tokens: TokenStream) -> Option<Ident> {
    match single(tokens)? {
        TokenTree::Ident(ident) => Some(ident),
        TokenTree::Group(group) if matches!(group.delimiter(), Delimiter::Parenthesis | Delimiter::None) => {
            alone(group.stream())
        }
        _ => None,
    }
}

/// The field of what stands before, or of one in it: `.field`, `[index].field`; a method is none.
fn field(mut trees: impl Iterator<Item = TokenTree>) -> Option<TokenTree> {
    let next = trees.find(|tree| !is_index(tree));
    let field = is(next.as_ref(), '.').then(|| trees.next()).flatten();
    field.filter(|_| !is_call(trees.next()))
}

/// Whether what follows in parentheses is given to it.
fn is_callee(tree: Option<&TokenTree>) -> bool {
    match tree {
        // A keyword takes no arguments.
        Some(TokenTree::Ident(ident)) => syn::parse2::<Ident>(ident.to_token_stream()).is_ok(),
        Some(TokenTree::Group(_)) => true,
        _ => false,
    }
}

fn is_index(tree: &TokenTree) -> bool {
    matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket)
}

fn is_call(tree: Option<TokenTree>) -> bool {
    matches!(tree, Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis)
}
