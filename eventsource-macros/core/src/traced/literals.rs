//! Values of attributes that are known at compile time.

use syn::{Expr, ExprGroup, ExprLit, ExprParen, ExprUnary, Lit, LitInt, LitStr, UnOp};

/// A value that is known at compile time.
pub(crate) enum Literal {
    Text(LitStr),
    Int(i64),
    Float(f64),
    Bool(bool),
}

/// The literal, if the expression is one that an attribute can hold, also in parentheses or from another macro. A
/// number out of that range, or with its type behind it, is left to the compiler.
pub(super) fn literal(expr: &Expr) -> Option<Literal> {
    match alone(expr) {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(Literal::Text(text.clone())),
        Expr::Lit(ExprLit { lit: Lit::Bool(flag), .. }) => Some(Literal::Bool(flag.value)),
        Expr::Lit(ExprLit { lit, .. }) => number("", lit),
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => match alone(expr) {
            Expr::Lit(ExprLit { lit, .. }) => number("-", lit),
            expr => match literal(expr)? {
                Literal::Int(number) => number.checked_neg().map(Literal::Int),
                Literal::Float(number) => Some(Literal::Float(-number)),
                Literal::Text(_) | Literal::Bool(_) => None,
            },
        },
        _ => None,
    }
}

/// The expression itself, which a macro's `$n:expr` wraps into an invisible group.
fn alone(expr: &Expr) -> &Expr {
    match expr {
        Expr::Group(ExprGroup { expr, .. }) | Expr::Paren(ExprParen { expr, .. }) => alone(expr),
        expr => expr,
    }
}

fn number(sign: &str, lit: &Lit) -> Option<Literal> {
    match lit {
        Lit::Int(number) if number.suffix().is_empty() => {
            format!("{sign}{}", number.base10_digits()).parse().ok().map(Literal::Int)
        }
        Lit::Float(number) if number.suffix().is_empty() => {
            let number = format!("{sign}{}", number.base10_digits()).parse().ok();
            // An infinite number has no token.
            number.filter(|number: &f64| number.is_finite()).map(Literal::Float)
        }
        _ => None,
    }
}

/// An untyped number that only fits into `u64`, which would otherwise be taken for an `i32`.
pub(super) fn wide(mut expr: Expr) -> Expr {
    widen(&mut expr);
    expr
}

fn widen(expr: &mut Expr) {
    match expr {
        Expr::Group(ExprGroup { expr, .. }) | Expr::Paren(ExprParen { expr, .. }) => widen(expr),
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. })
            if number.suffix().is_empty() && number.base10_parse::<u64>().is_ok() =>
        {
            *number = LitInt::new(&format!("{number}_u64"), number.span());
        }
        _ => (),
    }
}

#[cfg(test)]
mod tests {
    use quote::{ToTokens as _, quote};

    use super::*;
    use crate::seeds::in_group;

    /// What is known of a number.
    fn known(source: &str) -> String {
        match literal(&syn::parse_str(source).expect("the test's own expression")) {
            Some(Literal::Int(number)) => format!("{number}"),
            Some(Literal::Float(number)) => format!("{number:?}"),
            Some(Literal::Text(_) | Literal::Bool(_)) => "no number".to_owned(),
            None => "unknown".to_owned(),
        }
    }

    fn all(sources: &str) -> String {
        sources.split(' ').map(known).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_number_keeps_its_sign() {
        assert_eq!(all("-7 -1.5 7 --7 --1.5 -\"a\" true"), "-7 -1.5 7 7 1.5 unknown no number");
    }

    #[test]
    fn a_number_is_written_in_any_base() {
        assert_eq!(all("0xff 0x1f64 0b11 0o17 1_000 1e3 1_0.5"), "255 8036 3 15 1000 1000.0 10.5");
    }

    #[test]
    fn a_number_that_says_more_is_left_to_the_compiler() {
        for source in ["1e999", "-1e999", "9223372036854775808", "7u8", "-7i64", "1f64", "1.0f32", "1unknown"] {
            assert_eq!(known(source), "unknown", "{source}");
        }
        assert_eq!(known("-9223372036854775808"), i64::MIN.to_string());
    }

    /// As `$n:literal` and `$n:expr` are.
    #[test]
    fn a_literal_may_stand_in_parentheses_or_in_a_group_that_cannot_be_seen() {
        assert_eq!(all("(3000000000) -(7) (-(1.5)) -(-(7)) ((true))"), "3000000000 -7 -1.5 7 no number");
        assert_eq!(known("-(9223372036854775808)"), i64::MIN.to_string());
        let grouped = in_group(quote!(3000000000));
        for (source, number) in [(quote!(#grouped), "3000000000"), (quote!(-#grouped), "-3000000000")] {
            let expr = syn::parse2(source).expect("the test's own expression");
            assert!(matches!(literal(&expr), Some(Literal::Int(found)) if found.to_string() == number), "{number}");
        }
    }

    #[test]
    fn a_wide_number_says_so() {
        let wide = |source| wide(syn::parse_str(source).expect("an expression")).into_token_stream();
        assert_eq!(wide("9223372036854775808").to_string(), "9223372036854775808_u64");
        assert_eq!(wide("18446744073709551616").to_string(), "18446744073709551616");
        assert_eq!(wide("9223372036854775808u128").to_string(), "9223372036854775808u128");
        assert_eq!(wide("((9223372036854775808))").to_string(), "((9223372036854775808_u64))");
    }
}
