//! The names that pieces of syntax use and bind.

use proc_macro2::{Literal, Punct, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, FieldPat, Ident, Lit, LitStr, Pat, PatIdent, Type, TypeImplTrait};

use crate::diagnostics::Diagnostics;
use crate::signature::cfgs;

/// Checks a name that is stored.
pub(crate) fn check_kept(diagnostics: &mut Diagnostics, name: &LitStr, noun: &str, write: &str) {
    if name.value().is_empty() {
        diagnostics.error(name, format!("the {noun} is empty; write {write}"));
    }
    if name.value().contains('\0') {
        diagnostics.error(name, format!("the {noun} holds a NUL, which no store takes; write it without"));
    }
}

/// An identifier as a text, without `r#`.
pub(crate) fn as_text(ident: &Ident) -> LitStr {
    LitStr::new(&ident.unraw().to_string(), ident.span())
}

/// The first identifier with that name, at any depth, that is not a field or method after a dot.
pub(crate) fn find(tokens: TokenStream, name: &str) -> Option<Ident> {
    find_before(tokens, name, |_| true)
}

/// The same for locals: an identifier before a colon is part of a path, a field's name, or bound there.
pub(crate) fn find_local(tokens: TokenStream, name: &str) -> Option<Ident> {
    find_before(tokens, name, |next| next.as_char() != ':')
}

/// The same for identifiers that no punctuation follows, or one that `is_meant` accepts.
pub(crate) fn find_before(tokens: TokenStream, name: &str, is_meant: fn(&Punct) -> bool) -> Option<Ident> {
    let mut dots = 0;
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let before = std::mem::take(&mut dots);
        let found = match token {
            TokenTree::Punct(dot) if dot.as_char() == '.' => {
                dots = before + 1;
                None
            }
            // Two dots are a range.
            TokenTree::Ident(ident) if before != 1 && ident.unraw() == name => match tokens.peek() {
                Some(TokenTree::Punct(next)) if !is_meant(next) => None,
                _ => Some(ident),
            },
            TokenTree::Group(group) => find_before(group.stream(), name, is_meant),
            _ => None,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// The names in the text of `format!` and the like: `{name}`, `{name:?}`.
pub(crate) fn in_text(literal: &Literal) -> Vec<String> {
    let Lit::Str(text) = Lit::new(literal.clone()) else { return Vec::new() };
    let text = text.value().replace("{{", "");
    let holes = text.split('{').skip(1).filter_map(|hole| hole.split(['}', ':']).next());
    holes.map(|name| name.trim().to_owned()).collect()
}

/// The name in a format string, at any depth of a macro's tokens.
pub(crate) fn find_in_texts(tokens: TokenStream, name: &str) -> Option<Ident> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Group(group) => find_in_texts(group.stream(), name),
        TokenTree::Literal(text) => in_text(&text).iter().any(|it| it == name).then(|| Ident::new(name, text.span())),
        _ => None,
    })
}

/// A name that a pattern binds, and the attributes that decide whether it does.
pub(crate) struct Bound {
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) name: Ident,
    /// Whether it is bound by `ref mut`.
    pub(crate) is_lent: bool,
}

/// The names that a pattern binds, in the order of their declaration.
pub(crate) fn bound(pattern: &Pat) -> Vec<Ident> {
    bound_under(Vec::new(), pattern).into_iter().map(|bound| bound.name).collect()
}

/// The same with the attributes that decide whether a name is bound; `conditions` are the pattern's.
pub(crate) fn bound_under(conditions: Vec<Attribute>, pattern: &Pat) -> Vec<Bound> {
    struct Names {
        conditions: Vec<Attribute>,
        found: Vec<Bound>,
    }
    impl<'ast> Visit<'ast> for Names {
        fn visit_field_pat(&mut self, field: &'ast FieldPat) {
            let outside = self.conditions.len();
            self.conditions.extend(cfgs(&field.attrs));
            visit::visit_field_pat(self, field);
            self.conditions.truncate(outside);
        }

        fn visit_pat_ident(&mut self, pattern: &'ast PatIdent) {
            let is_lent = pattern.by_ref.is_some() && pattern.mutability.is_some();
            self.found.push(Bound { cfgs: self.conditions.clone(), name: pattern.ident.clone(), is_lent });
            visit::visit_pat_ident(self, pattern);
        }
    }
    let mut names = Names { conditions, found: Vec::new() };
    names.visit_pat(pattern);
    names.found
}

/// The pattern for a reference to the value: what it binds, without `mut` and `ref`.
pub(crate) fn borrowed_pattern(pattern: Pat) -> Pat {
    each_name(pattern, |name| {
        name.mutability = None;
        name.by_ref = None;
    })
}

/// The pattern for an expression that changes nothing: what it binds, without `mut`.
pub(crate) fn unchanged_pattern(pattern: Pat) -> Pat {
    each_name(pattern, |name| name.mutability = None)
}

fn each_name(mut pattern: Pat, change: fn(&mut PatIdent)) -> Pat {
    struct Names(fn(&mut PatIdent));
    impl VisitMut for Names {
        fn visit_pat_ident_mut(&mut self, pattern: &mut PatIdent) {
            self.0(pattern);
            visit_mut::visit_pat_ident_mut(self, pattern);
        }
    }
    Names(change).visit_pat_mut(&mut pattern);
    pattern
}

/// Whether a type contains `impl Trait` anywhere.
pub(crate) fn has_impl_trait(ty: &Type) -> bool {
    impl_trait(ty).is_some()
}

/// The first `impl Trait` in a type.
pub(crate) fn impl_trait(ty: &Type) -> Option<&TypeImplTrait> {
    struct Find<'ast>(Option<&'ast TypeImplTrait>);
    impl<'ast> Visit<'ast> for Find<'ast> {
        fn visit_type_impl_trait(&mut self, found: &'ast TypeImplTrait) {
            self.0.get_or_insert(found);
        }
    }
    let mut find = Find(None);
    find.visit_type(ty);
    find.0
}

#[cfg(test)]
mod tests {
    use quote::{ToTokens as _, quote};
    use syn::parse::Parser as _;

    use super::*;

    #[test]
    fn names_are_found_however_deep_and_however_written() {
        let found = |name| find(quote!(a.b(c, [r#type, d])), name).map(|ident| ident.to_string());
        assert_eq!(found("d").as_deref(), Some("d"));
        assert_eq!(found("type").as_deref(), Some("r#type"));
        assert_eq!(found("e"), None);
        assert_eq!(found("b"), None, "a method");
        assert!(find(quote!(0..b), "b").is_some());
    }

    #[test]
    fn what_a_colon_follows_is_no_local() {
        for tokens in [quote!(B { a: c }), quote!(a::b()), quote!(let a: u8 = 1;), quote!(|a: u8| c), quote!(c!(a: c))]
        {
            assert!(find_local(tokens.clone(), "a").is_none(), "{tokens}");
            assert!(find(tokens, "a").is_some());
        }
        for tokens in [quote!(B { a: a }), quote!(B { a, c }), quote!(c = a; 'c: loop {})] {
            assert!(find_local(tokens.clone(), "a").is_some(), "{tokens}");
        }
    }

    #[test]
    fn a_pattern_binds_from_left_to_right() {
        let pattern =
            Pat::parse_single.parse2(quote!(a @ A { b, c: (ref d, mut e), .. })).expect("the test's own pattern");
        let names: Vec<String> = bound(&pattern).iter().map(Ident::to_string).collect();
        assert_eq!(names, ["a", "b", "d", "e"]);
    }

    #[test]
    fn what_is_bound_by_ref_mut_alone_is_lent() {
        let pattern = Pat::parse_single.parse2(quote!((a, ref b, mut c, ref mut d))).expect("the test's own pattern");
        let lent: Vec<bool> = bound_under(Vec::new(), &pattern).iter().map(|bound| bound.is_lent).collect();
        assert_eq!(lent, [false, false, false, true]);
    }

    #[test]
    fn a_type_without_a_name_is_found_within_one() {
        assert!(has_impl_trait(&syn::parse_quote!(Result<Vec<impl A>, B>)));
        assert!(!has_impl_trait(&syn::parse_quote!(Result<Vec<dyn A>, B>)));
    }

    #[test]
    fn a_pattern_loses_what_a_reference_cannot_have() {
        let pattern = Pat::parse_single.parse2(quote!(mut command)).map(borrowed_pattern);
        assert_eq!(pattern.expect("the test's own pattern").to_token_stream().to_string(), "command");
        let pattern = Pat::parse_single.parse2(quote!((mut a, ref b))).map(unchanged_pattern);
        assert_eq!(pattern.expect("the test's own pattern").to_token_stream().to_string(), "(a , ref b)");
    }
}
