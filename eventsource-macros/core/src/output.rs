//! What surrounds every expansion.

use proc_macro2::{Group, Literal, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Attribute, Expr, Ident, Type, parse_quote};

/// Impls, in a block of their own, so that nothing in them meets the user's names.
pub(crate) fn block(impls: &TokenStream) -> TokenStream {
    quote_spanned! {Span::mixed_site()=>
        const _: () = {
            #impls
        };
    }
}

/// The lints that the shape of a handler's or a projection's method would set off; the shape is ours, not the user's.
pub(crate) fn shape_lints() -> Attribute {
    parse_quote! {
        #[allow(
            // A handler owns its message and may be written as `async`, whether it makes use of that or not.
            clippy::needless_pass_by_value,
            clippy::unused_async,
            // It takes `&self` and returns a `Result`, because others do.
            clippy::unused_self,
            clippy::unnecessary_wraps,
        )]
    }
}

/// The lints that a generated enum of events would set off.
pub(crate) fn enum_lints() -> TokenStream {
    quote! {
        #[allow(
            // Events are named after their aggregate, and some are larger than others.
            clippy::enum_variant_names,
            clippy::large_enum_variant,
            // What is derived is the user's choice.
            clippy::derive_partial_eq_without_eq,
        )]
    }
}

/// The lints that a method would set off which binds the names of the user's arguments for an expression that may not
/// use them.
pub(crate) fn binding_lints() -> TokenStream {
    quote!(#[allow(unused_variables)])
}

/// `type Name = Type;`, where an error about what that is belongs on the type.
pub(crate) fn associated(name: &str, ty: &Type) -> TokenStream {
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

/// A body in the braces of the user's: what is said about the function is said about the user's tokens.
pub(crate) fn like(body: &Group, tokens: TokenStream) -> Group {
    let mut group = Group::new(body.delimiter(), tokens);
    group.set_span(body.span());
    group
}

/// A body at the end of a block of ours: were it there by itself, its braces would be unused to the compiler.
pub(crate) fn arm(body: &Group) -> TokenStream {
    quote_spanned!(Span::mixed_site()=> match () { () => #body })
}

/// Where an expression starts, as code of ours: errors show there, names resolve at the macro.
pub(crate) fn first_span(tokens: impl quote::ToTokens) -> Span {
    let first = tokens.to_token_stream().into_iter().next();
    Span::mixed_site().located_at(first.map_or_else(Span::call_site, |token| token.span()))
}

/// The span of a user's token, for code of ours that fails where the user is at fault.
pub(crate) fn located(span: Span) -> Span {
    Span::mixed_site().located_at(span)
}

/// A local of ours, which no name of the user's can meet.
pub(crate) fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// What records one of several values, by its place among them: one closure for all, since each costs the compiler more
/// than what is in it.
pub(crate) fn by_place(private: &TokenStream, slot: &Ident, records: impl Iterator<Item = TokenStream>) -> TokenStream {
    let mut records: Vec<TokenStream> = records.collect();
    let Some(last) = records.pop() else { return quote_spanned!(Span::mixed_site()=> &mut ()) };
    if records.is_empty() {
        return quote_spanned!(Span::mixed_site()=> &mut #private::ByPlace(|_, #slot| #last));
    }
    let place = local("__es_place");
    let places = (0..records.len()).map(Literal::usize_unsuffixed);
    quote_spanned! {Span::mixed_site()=>
        &mut #private::ByPlace(|#place, #slot| match #place {
            #(#places => #records,)*
            _ => #last,
        })
    }
}

/// Brings the traits of a probe into scope, of which one will be used.
pub(crate) fn probes(private: &TokenStream, traits: &[&str]) -> TokenStream {
    let traits = traits.iter().map(|name| local(name));
    quote_spanned! {Span::mixed_site()=>
        #[allow(unused_imports)]
        use #private::{#(#traits as _),*};
    }
}
