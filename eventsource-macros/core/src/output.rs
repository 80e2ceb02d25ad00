//! What surrounds every expansion.

use proc_macro2::{Delimiter, Group, Literal, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::{Attribute, DeriveInput, Expr, Ident, Pat, Token, Visibility, parse_quote};

use crate::fields;
use crate::names::{Bound, bound_under, find};
use crate::seen::seen;
use crate::signature::{ImplBlock, cfgs};
use crate::tokens::is_sign;

/// Wraps impls in their own block, with attributes, so that nothing in them collides with the user's names.
pub(crate) fn block(attributes: Option<&TokenStream>, impls: &TokenStream) -> TokenStream {
    quote_spanned! {Span::mixed_site()=>
        #attributes
        const _: () = {
            #impls
        };
    }
}

/// Allows the lints that a handler's or a projection's method triggers by its shape, which is ours, not the user's.
pub(crate) fn shape_lints() -> Attribute {
    parse_quote! {
        #[allow(
            // A handler owns its message and may be `async`, whether it needs that or not.
            clippy::needless_pass_by_value,
            clippy::unused_async,
            // It takes `&self` and returns a `Result`, because others do.
            clippy::unused_self,
            clippy::unnecessary_wraps,
            // And borrows it, however small it is.
            clippy::trivially_copy_pass_by_ref,
        )]
    }
}

/// The attributes of the impls of a block: where the compiler removes the block, they go with it.
pub(crate) fn impl_attributes(block: &ImplBlock) -> TokenStream {
    let (cfgs, lints) = (cfgs(block.own_attributes()), deprecated_by(block.attributes()));
    quote!(#(#cfgs)* #lints)
}

/// `#[allow(deprecated)]` if the user's item allows, expects or is deprecated: generated code uses it too.
pub(crate) fn deprecated(input: &DeriveInput) -> Option<TokenStream> {
    deprecated_by(input.attrs.iter().chain(fields::all(input).into_iter().flat_map(|field| &field.attrs)))
}

/// The same for any attributes.
fn deprecated_by<'a>(attributes: impl IntoIterator<Item = &'a Attribute>) -> Option<TokenStream> {
    let says = |attribute: &Attribute| {
        let is_level = ["allow", "expect"].iter().any(|level| attribute.path().is_ident(level));
        attribute.path().is_ident("deprecated")
            || is_level && find(attribute.meta.to_token_stream(), "deprecated").is_some()
    };
    attributes.into_iter().any(says).then(|| quote!(#[allow(deprecated)]))
}

/// Allows the lints that a generated enum of events would trigger.
pub(crate) fn enum_lints<'a>(vis: &Visibility, mut names: impl Iterator<Item = &'a Ident>) -> TokenStream {
    // The user's types have these names, and may allow the lint there.
    let is_odd = |name: String| name.contains('_') || name.starts_with(char::is_lowercase);
    let names = names.any(|name| is_odd(name.unraw().to_string())).then(|| quote!(#[allow(non_camel_case_types)]));
    // A public aggregate may have private events, to which the variants' docs link.
    let private = (!matches!(vis, Visibility::Inherited))
        .then(|| quote!(#[allow(private_interfaces, rustdoc::private_intra_doc_links)]));
    quote! {
        #[allow(
            // Events are named after their aggregate, and some are larger than others.
            clippy::enum_variant_names,
            clippy::large_enum_variant,
            // The derives are the user's choice.
            clippy::derive_partial_eq_without_eq,
        )]
        #names
        #private
    }
}

/// Allows the lint that a nested future would trigger: the user's function may return one, which clippy sees in our
/// block.
pub(crate) fn future_lints() -> TokenStream {
    quote!(#[allow(clippy::async_yields_async)])
}

/// Uses the names that the user's patterns bind and the expressions do not use: a crate can forbid an `allow`.
pub(crate) fn unused<'a>(
    patterns: impl IntoIterator<Item = &'a Pat>,
    expressions: impl IntoIterator<Item = &'a Expr, IntoIter: Clone>,
) -> Option<TokenStream> {
    let expressions = expressions.into_iter();
    let names = patterns.into_iter().flat_map(|pattern| bound_under(Vec::new(), pattern));
    let unused = names.filter(|Bound { name, .. }| {
        let is_seen = |expr| seen(expr, std::slice::from_ref(name)).is_some();
        !is_underscored(name) && !expressions.clone().any(is_seen)
    });
    dead(&unused.collect::<Vec<_>>())
}

/// A statement that names locals and does nothing.
pub(crate) fn dead(names: &[Bound]) -> Option<TokenStream> {
    let is_underscored = names.iter().any(|bound| is_underscored(&bound.name));
    let lint = is_underscored.then(|| quote!(#[allow(clippy::used_underscore_binding)]));
    // Each under the conditions under which it is bound.
    let elements = names.iter().map(|Bound { cfgs, name, .. }| quote_spanned!(Span::mixed_site()=> #(#cfgs)* &#name,));
    (!names.is_empty()).then(|| quote_spanned!(Span::mixed_site()=> #lint let _ = (#(#elements)*);))
}

/// Whether the name is meant to be unused.
pub(crate) fn is_underscored(name: &Ident) -> bool {
    name.to_string().starts_with('_')
}

/// `type Name = Type;`, placed so that an error about the type is on the type.
pub(crate) fn associated(name: &str, ty: &impl ToTokens) -> TokenStream {
    let (place, name) = (first_span(ty), local(name));
    quote_spanned!(place=> type #name = #ty;)
}

/// `&expr`, with spans that put an error about its type on the whole expression.
pub(crate) fn borrowed(expr: &Expr) -> TokenStream {
    let span = first_span(expr);
    // Postfix expressions bind tighter than `&`; others need parentheses, which would narrow the span.
    let tight = matches!(
        expr,
        Expr::Path(_)
            | Expr::Lit(_)
            | Expr::Field(_)
            | Expr::MethodCall(_)
            | Expr::Call(_)
            | Expr::Macro(_)
            | Expr::Index(_)
            | Expr::Paren(_)
            | Expr::Reference(_)
            | Expr::Array(_)
            | Expr::Tuple(_)
    );
    if tight { quote_spanned!(span=> &#expr) } else { quote_spanned!(span=> &(#expr)) }
}

/// A body in the user's braces, so that diagnostics about the function point to the user's tokens.
pub(crate) fn like(body: &Group, tokens: TokenStream) -> Group {
    placed(body.span(), body.delimiter(), tokens)
}

/// Tokens in delimiters of that span.
pub(crate) fn placed(span: Span, delimiter: Delimiter, tokens: TokenStream) -> Group {
    let mut group = Group::new(delimiter, tokens);
    group.set_span(span);
    group
}

/// A body within a block of ours. If it is one expression, its braces are ours as well: the compiler would report the
/// user's as unused. Otherwise the edition of the braces decides whether temporaries of the last expression drop before
/// or after the locals.
pub(crate) fn within(body: &Group) -> Group {
    if body.stream().into_iter().any(|tree| is_sign(&tree, ';')) {
        return body.clone();
    }
    placed(located(body.span()), body.delimiter(), body.stream())
}

/// A body behind a statement of ours that binds nothing. A macro's call alone stands there without braces: in ours,
/// clippy is silent about it.
pub(crate) fn behind(body: &Group, statement: &TokenStream) -> Group {
    let trees: Vec<TokenTree> = body.stream().into_iter().collect();
    let is_of_path = |tree: &TokenTree| matches!(tree, TokenTree::Ident(_)) || is_sign(tree, ':');
    let is_call = match &trees[..] {
        [path @ .., sign, TokenTree::Group(_)] => is_sign(sign, '!') && path.iter().all(is_of_path),
        _ => false,
    };
    let within = if is_call { body.stream() } else { within(body).to_token_stream() };
    like(body, quote_spanned!(Span::mixed_site()=> #statement #within))
}

/// The span of an expression's start for our code: errors show there, names resolve at the macro.
pub(crate) fn first_span(tokens: impl ToTokens) -> Span {
    let first = tokens.to_token_stream().into_iter().next();
    Span::mixed_site().located_at(first.map_or_else(Span::call_site, |token| token.span()))
}

/// The first and the last span of a body's last expression for our code: what it returns wrongly is reported there. Of
/// its braces if there is none.
pub(crate) fn tail_spans(body: &Group) -> (Span, Span) {
    let mut tail = None;
    for tree in body.stream() {
        tail = (!is_sign(&tree, ';')).then(|| (tail.map_or(tree.span(), |(first, _)| first), tree.span()));
    }
    let (first, last) = tail.unwrap_or((body.span(), body.span()));
    (located(first), located(last))
}

/// The span of a user's token for our code, if its errors are the user's mistake.
pub(crate) fn located(span: Span) -> Span {
    Span::mixed_site().located_at(span)
}

/// A local of ours, which cannot collide with the user's names.
pub(crate) fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// The closure that records one of several values by its index: one for all, since each costs the compiler more than
/// its contents.
pub(crate) fn by_place(
    private: &TokenStream,
    owns: Option<Token![move]>,
    slot: &Ident,
    records: impl Iterator<Item = TokenStream>,
) -> TokenStream {
    let mut records: Vec<TokenStream> = records.collect();
    let Some(last) = records.pop() else { return quote_spanned!(Span::mixed_site()=> &mut ()) };
    if records.is_empty() {
        return quote_spanned!(Span::mixed_site()=> &mut #private::ByPlace(#owns |_, #slot| #last));
    }
    let place = local("__es_place");
    let places = (0..records.len()).map(Literal::usize_unsuffixed);
    quote_spanned! {Span::mixed_site()=>
        &mut #private::ByPlace(#owns |#place, #slot| match #place {
            #(#places => #records,)*
            _ => #last,
        })
    }
}

/// Brings the traits of a probe into scope, one of which is used, so that no `allow` is needed, which a crate can
/// forbid.
pub(crate) fn probe(private: &TokenStream, what: &str) -> TokenStream {
    let what = local(what);
    quote_spanned!(Span::mixed_site()=> use #private::probe::#what::*;)
}

#[cfg(test)]
mod tests {
    use syn::parse::Parser as _;

    use super::*;

    fn group(source: &str) -> Group {
        syn::parse_str(source).expect("the test's own group")
    }

    #[test]
    fn a_macro_s_call_alone_stands_behind_a_statement_without_braces() {
        let behind = |body: &str| behind(&group(body), &quote!(first();)).to_string();
        for body in ["format ! (\"a\")", "a :: b ! [1]"] {
            assert_eq!(behind(&format!("{{ {body} }}")), format!("{{ first () ; {body} }}"));
        }
        for body in
            ["{ a }", "{ a ; b ! () }", "{ a ! { } b () }", "{ a ! { } b ! () }", "{ a . b () }", "{ a = ! (b) }"]
        {
            assert_eq!(behind(body), format!("{{ first () ; {body} }}"));
        }
    }

    #[test]
    fn the_last_expression_is_what_follows_the_last_statement() {
        let columns = |body: &str| {
            let (first, last) = tail_spans(&group(body));
            (first.start().column, last.start().column)
        };
        assert_eq!(columns("{ a; b.c }"), (5, 7));
        assert_eq!(columns("{ b }"), (2, 2));
        assert_eq!(columns("{ a; }"), (0, 0));
    }

    #[test]
    fn what_no_expression_sees_is_used() {
        let used = |expression: &str| {
            let pattern = Pat::parse_single.parse2(quote!(A { name, _rest, .. })).expect("the test's own pattern");
            let expression: Expr = syn::parse_str(expression).expect("the test's own expression");
            unused([&pattern], [&expression]).map(|used| used.to_string())
        };
        for expression in ["1", "config::name()", "self.name", "list.map(|name| name.len())"] {
            assert!(used(expression).is_some_and(|used| used.contains("& name ,") && !used.contains("_rest")));
        }
        for expression in ["name", "a!(name)", "list.map(|a| a + name)"] {
            assert!(used(expression).is_none(), "{expression}");
        }
    }

    #[test]
    fn an_enum_of_private_events_may_link_to_them() {
        let lints = |vis: Visibility| enum_lints(&vis, std::iter::empty()).to_string().replace(' ', "");
        assert!(lints(parse_quote!(pub)).contains("private_interfaces,rustdoc::private_intra_doc_links"));
        assert!(!lints(Visibility::Inherited).contains("private"));
    }

    #[test]
    fn an_odd_name_is_let_through_where_there_is_one() {
        let lints = |names: &[Ident]| enum_lints(&Visibility::Inherited, names.iter()).to_string().replace(' ', "");
        assert!(lints(&[]).contains("clippy::large_enum_variant"));
        assert!(!lints(&[parse_quote!(Placed)]).contains("non_camel_case_types"));
        for odd in [parse_quote!(Order_Placed), parse_quote!(placed), parse_quote!(r#move)] {
            assert!(lints(&[parse_quote!(Placed), odd]).contains("#[allow(non_camel_case_types)]"));
        }
    }

    #[test]
    fn what_is_deprecated_or_lets_it_be_used_lets_what_is_generated() {
        let lints = |input: &str| {
            let input: DeriveInput = syn::parse_str(input).expect("the test's own type");
            deprecated(&input).map(|lints| lints.to_string())
        };
        for input in [
            r#"#[deprecated = "late"] struct A;"#,
            "#[allow(unused, deprecated)] struct A;",
            "#[expect(deprecated)] struct A;",
            "struct A { b: B, #[deprecated] c: C }",
            "enum A { B, C(#[allow(deprecated)] D) }",
        ] {
            assert_eq!(lints(input).as_deref(), Some("# [allow (deprecated)]"), "{input}");
        }
        for input in [
            "struct A(B);",
            "#[allow(unused)] struct A;",
            r#"#[deny(deprecated)] #[doc(alias = "deprecated")] struct A;"#,
        ] {
            assert_eq!(lints(input), None, "{input}");
        }
    }

    #[test]
    fn the_impls_of_a_block_bear_what_decides_on_it_and_what_lets_its_methods_be_used() {
        let block: ImplBlock = parse_quote! {
            #[cfg(a)] #[doc = "b"] impl C { #![cfg(d)] #[cfg(e)] #[deprecated] fn f() {} }
        };
        let attributes = impl_attributes(&block).to_string();
        assert_eq!(attributes, "# [cfg (a)] # [cfg (d)] # [allow (deprecated)]");
        let block = parse_quote!(impl C { #![allow(deprecated)] fn f() {} });
        assert_eq!(impl_attributes(&block).to_string(), "# [allow (deprecated)]");
        assert!(impl_attributes(&parse_quote!(impl C { fn f() {} })).is_empty());
    }
}
