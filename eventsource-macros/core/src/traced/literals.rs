//! Values of attributes that are known at compile time.

use syn::{Expr, ExprLit, ExprUnary, Lit, LitInt, LitStr, UnOp};

/// A value that is known at compile time.
pub(crate) enum Literal {
    Text(LitStr),
    Int(i64),
    Float(f64),
    Bool(bool),
}

/// The literal, if the expression is one that an attribute can hold; a number out of that range, or of its own type's,
/// is left to the compiler.
pub(super) fn literal(expr: &Expr) -> Option<Literal> {
    match expr {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(Literal::Text(text.clone())),
        Expr::Lit(ExprLit { lit: Lit::Bool(flag), .. }) => Some(Literal::Bool(flag.value)),
        Expr::Lit(ExprLit { lit, .. }) => number("", lit),
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => match &**expr {
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

fn number(sign: &str, lit: &Lit) -> Option<Literal> {
    let (digits, suffix) = match lit {
        Lit::Int(number) => (number.base10_digits(), number.suffix()),
        Lit::Float(number) => (number.base10_digits(), number.suffix()),
        _ => return None,
    };
    let number = format!("{sign}{digits}");
    if matches!(lit, Lit::Float(_)) || suffix.starts_with('f') { float(&number, suffix) } else { int(&number, suffix) }
}

fn int(number: &str, suffix: &str) -> Option<Literal> {
    let is_held = match suffix {
        "" | "i64" | "i128" => true,
        "i8" => number.parse::<i8>().is_ok(),
        "i16" => number.parse::<i16>().is_ok(),
        // Those whose size depends on the target have at least 32 bits.
        "i32" | "isize" => number.parse::<i32>().is_ok(),
        "u8" => number.parse::<u8>().is_ok(),
        "u16" => number.parse::<u16>().is_ok(),
        "u32" | "usize" => number.parse::<u32>().is_ok(),
        "u64" | "u128" => number.parse::<u64>().is_ok(),
        _ => false,
    };
    number.parse().ok().filter(|_| is_held).map(Literal::Int)
}

fn float(number: &str, suffix: &str) -> Option<Literal> {
    let is_held = match suffix {
        "" | "f64" => true,
        "f32" => number.parse().is_ok_and(f32::is_finite),
        _ => false,
    };
    // An infinite number has no token.
    number.parse().ok().filter(|number: &f64| is_held && number.is_finite()).map(Literal::Float)
}

/// An untyped number that only fits into `u64`, which would otherwise be taken for an `i32`.
pub(super) fn wide(mut expr: Expr) -> Expr {
    if let Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) = &mut expr
        && number.suffix().is_empty()
        && number.base10_parse::<u64>().is_ok()
    {
        *number = LitInt::new(&format!("{number}_u64"), number.span());
    }
    expr
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_number_is_of_the_type_that_it_names() {
        assert_eq!(all("1f64 -2f32 0xff 0x1f64 3.5f32 1e3 1_000_u128"), "1.0 -2.0 255 8036 3.5 1000.0 1000");
        assert_eq!(
            all("255u8 -128i8 65535u16 -1i16 7u32 -7i32 8u64 -8i64 9usize -9isize"),
            "255 -128 65535 -1 7 -7 8 -8 9 -9"
        );
    }

    #[test]
    fn a_number_beyond_its_type_is_left_to_the_compiler() {
        let beyond = [
            "1e999",
            "-1e999",
            "9223372036854775808",
            "300u8",
            "-1u8",
            "-0u8",
            "128i8",
            "-129i8",
            "65536u16",
            "32768i16",
            "4294967296u32",
            "2147483648i32",
            "4294967296usize",
            "-2147483649isize",
            "-1u64",
            "-1u128",
            "1e39f32",
            "1f16",
            "1.0u8",
            "1unknown",
            "9223372036854775808u64",
        ];
        for source in beyond {
            assert_eq!(known(source), "unknown", "{source}");
        }
        assert_eq!(known("-9223372036854775808"), i64::MIN.to_string());
    }

    #[test]
    fn a_wide_number_says_so() {
        let wide = |source| quote::ToTokens::into_token_stream(wide(syn::parse_str(source).expect("an expression")));
        assert_eq!(wide("9223372036854775808").to_string(), "9223372036854775808_u64");
        assert_eq!(wide("18446744073709551616").to_string(), "18446744073709551616");
        assert_eq!(wide("9223372036854775808u128").to_string(), "9223372036854775808u128");
    }
}
