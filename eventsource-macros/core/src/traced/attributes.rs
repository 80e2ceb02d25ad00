//! The entries of `attributes(..)` and `record(..)`.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::ext::IdentExt as _;
use syn::parse::ParseStream;
use syn::{Expr, ExprField, ExprGroup, ExprParen, ExprPath, ExprUnary, Ident, Lit, LitStr, Path, Token, UnOp};

use super::jumps;
use super::literals::{Literal, literal, wide};
use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::options::entries;
use crate::output::{borrowed, by_place, first_span, local};
use crate::paths::Runtime;
use crate::seen::seen;
use crate::sensitive;

/// `"key" = value`.
pub(crate) struct Entry {
    pub(crate) key: LitStr,
    pub(crate) value: Value,
}

pub(crate) enum Value {
    Literal(Literal),
    /// By its type.
    Typed(Expr),
    /// `%`: by `Display`.
    Display(Expr),
    /// `?`: by `Debug`.
    Debug(Expr),
}

impl Value {
    /// The expression, if it is not known at compile time.
    pub(crate) fn expr(&self) -> Option<&Expr> {
        match self {
            Self::Literal(_) => None,
            Self::Typed(expr) | Self::Display(expr) | Self::Debug(expr) => Some(expr),
        }
    }
}

/// Reads the entries; a key may be given only once.
pub(crate) fn read(diagnostics: &mut Diagnostics, tokens: TokenStream) -> Vec<Entry> {
    let mut read: Vec<Entry> = Vec::new();
    entries(diagnostics, tokens, |diagnostics, input| {
        let entry = entry(input)?;
        let key = entry.key.value();
        if key.is_empty() {
            diagnostics.error(&entry.key, "the key of an attribute is empty; write `\"key\" = expression`");
        } else if read.iter().any(|earlier| earlier.key.value() == key) {
            diagnostics.error(&entry.key, format!("attribute `{key}` is given twice; keep one"));
        }
        if entry.value.expr().is_none_or(|expr| jumps::refuse(diagnostics, "an attribute", expr)) {
            read.push(entry);
        }
        Ok(())
    });
    read
}

/// Reports the keys of `record(..)` that are those of `attributes(..)`: a span would have them twice.
pub(super) fn distinct(diagnostics: &mut Diagnostics, attributes: &[Entry], record: &[Entry]) {
    for Entry { key, .. } in record {
        if attributes.iter().any(|earlier| earlier.key.value() == key.value()) {
            let message = format!("attribute `{}` is given in `attributes(..)` already; keep one", key.value());
            diagnostics.error(key, message);
        }
    }
}

fn entry(input: ParseStream<'_>) -> syn::Result<Entry> {
    if input.peek(Token![#]) {
        let message = "an attribute of a span takes no `#[..]`; remove it, or choose between two by `#[cfg_attr(..)]`";
        return Err(input.error(message));
    }
    refuse_constant(input)?;
    let before = sigil(input)?;
    if input.peek(LitStr) && before.is_none() {
        let key: LitStr = input.parse()?;
        if !input.peek(Token![=]) {
            let message = format!("attribute `{0}` has no value; write `\"{0}\" = expression`", key.value());
            return Err(syn::Error::new(key.span(), message));
        }
        return assigned(key, input);
    }
    if !input.peek(Ident::peek_any) {
        return Err(input.error("expected an attribute, such as `\"key\" = expression`"));
    }
    let (key, expr) = dotted(input)?;
    if input.peek(Token![=]) && before.is_none() {
        return assigned(key, input);
    }
    if goes_on(input) {
        return Err(syn::Error::new(key.span(), "an expression needs a key; write `\"key\" = ..`"));
    }
    Ok(Entry { key, value: value(before, expr?) })
}

/// An error if the key is a constant's path, whose value is not known here.
fn refuse_constant(input: ParseStream<'_>) -> syn::Result<()> {
    let ahead = input.fork();
    let Ok(path) = ahead.call(Path::parse_mod_style) else { return Ok(()) };
    // Many scripts have no case.
    let is_upper = |name: &str| name.contains(char::is_uppercase) && !name.contains(char::is_lowercase);
    let is_constant = path.get_ident().is_none_or(|name| is_upper(&name.unraw().to_string()));
    if is_constant && ahead.peek(Token![=]) && !ahead.peek(Token![==]) {
        let message = "a constant cannot be the key of an attribute; write out its text, as in `\"order.id\" = ..`";
        return Err(syn::Error::new_spanned(path, message));
    }
    Ok(())
}

/// Whether more than a name follows. A word or a literal is another entry, before which a comma is missing.
fn goes_on(input: ParseStream<'_>) -> bool {
    let is_another = input.peek(Ident::peek_any) && !input.peek(Token![as]) || input.peek(Lit);
    !input.is_empty() && !input.peek(Token![,]) && !is_another
}

fn assigned(key: LitStr, input: ParseStream<'_>) -> syn::Result<Entry> {
    if input.peek(Token![==]) || input.peek(Token![=>]) {
        return Err(input.error(format!("an attribute takes one `=`; write `\"{}\" = ..`", key.value())));
    }
    input.parse::<Token![=]>()?;
    let sigil = sigil(input)?;
    Ok(Entry { key, value: value(sigil, input.parse()?) })
}

/// A name, or a name and its fields: a key, and also its value if no other is given and none of them is a keyword.
fn dotted(input: ParseStream<'_>) -> syn::Result<(LitStr, syn::Result<Expr>)> {
    let mut fault = if input.peek(Token![self]) { Ok(()) } else { no_keyword(input) };
    let first = input.call(Ident::parse_any)?;
    let span = first.span();
    let mut key = first.unraw().to_string();
    let mut expr = Expr::Path(ExprPath { attrs: Vec::new(), qself: None, path: first.into() });
    while input.peek(Token![.]) && !input.peek2(Lit) {
        let dot_token = input.parse()?;
        fault = fault.and_then(|()| no_keyword(input));
        let field = input.call(Ident::parse_any)?;
        key = format!("{key}.{}", field.unraw());
        expr = Expr::Field(ExprField { attrs: Vec::new(), base: Box::new(expr), dot_token, member: field.into() });
    }
    Ok((LitStr::new(&key, span), fault.map(|()| expr)))
}

/// An error if the next word is a keyword, which can only be part of a key.
fn no_keyword(input: ParseStream<'_>) -> syn::Result<()> {
    match input.fork().call(Ident::parse_any) {
        Ok(word) if !input.peek(Ident) => Err(syn::Error::new(
            word.span(),
            format!("`{word}` is a keyword and has no value; write `{word} = expression`"),
        )),
        _ => Ok(()),
    }
}

/// What the sign before a value makes of it, if there is one.
type Sigil = Option<fn(Expr) -> Value>;

fn sigil(input: ParseStream<'_>) -> syn::Result<Sigil> {
    Ok(if input.parse::<Option<Token![%]>>()?.is_some() {
        Some(Value::Display)
    } else if input.parse::<Option<Token![?]>>()?.is_some() {
        Some(Value::Debug)
    } else {
        None
    })
}

fn value(sigil: Sigil, expr: Expr) -> Value {
    match sigil {
        Some(value) => value(expr),
        None => literal(&expr).map_or_else(|| Value::Typed(wide(expr)), Value::Literal),
    }
}

/// The statement that records the entries with these values. A panic in an expression loses only that attribute.
pub(crate) fn each(private: &TokenStream, out: &Ident, entries: &[Entry], values: &TokenStream) -> TokenStream {
    let keys = entries.iter().map(|entry| &entry.key);
    quote_spanned!(Span::mixed_site()=> #private::Attributes::each(#out, &[#(#keys),*], #values);)
}

/// The closure that records each entry by the index of its key.
pub(crate) fn values(runtime: &Runtime, owns: Option<Token![move]>, entries: &[Entry]) -> TokenStream {
    let slot = local("__es_slot");
    by_place(&runtime.private(), owns, &slot, entries.iter().map(|entry| record(runtime, &slot, entry)))
}

/// The same for `record(..)`, with a reference to the returned value.
pub(super) fn values_of(runtime: &Runtime, returned: &TokenStream, entries: &[Entry]) -> TokenStream {
    let slot = local("__es_slot");
    let records = entries.iter().map(|entry| {
        let record = record(runtime, &slot, entry);
        seeing(returned, entry, &quote_spanned!(Span::mixed_site()=> #record;))
    });
    by_place(&runtime.private(), None, &slot, records)
}

fn record(runtime: &Runtime, slot: &Ident, Entry { key, value }: &Entry) -> TokenStream {
    let (method, value) = match value {
        Value::Literal(Literal::Text(text)) => ("record", quote_spanned!(text.span()=> #text)),
        Value::Literal(Literal::Int(number)) => ("record", quote_spanned!(key.span()=> &#number)),
        Value::Literal(Literal::Float(number)) => ("record", quote_spanned!(key.span()=> &#number)),
        Value::Literal(Literal::Bool(flag)) => ("record", quote_spanned!(key.span()=> &#flag)),
        Value::Typed(expr) => ("record", borrowed(expr)),
        Value::Display(expr) => ("display", shown(runtime, expr)),
        Value::Debug(expr) => ("debug", shown(runtime, expr)),
    };
    let (private, method) = (runtime.private(), local(method));
    quote_spanned!(Span::mixed_site()=> #private::Slot::#method(#slot, #value))
}

/// `&expr`, of a sized type, since no other becomes a trait object, and of one that may be shown as a whole.
pub(crate) fn shown(runtime: &Runtime, expr: &Expr) -> TokenStream {
    let (place, whole, is_unsized) = (first_span(expr), borrowed(expr), may_be_unsized(expr));
    let whole = if is_unsized { quote_spanned!(place=> &#whole) } else { whole };
    let value = Ident::new("__es_value", place);
    let check = sensitive::check_whole(runtime, &value, expr);
    // A `match`, which keeps what the expression borrows from.
    quote_spanned!(place=> match #whole { #value => { #check #value } })
}

/// Whether an expression may be unsized: part of a string or a list, a last field, a dereference, or any of these in a
/// macro.
fn may_be_unsized(expr: &Expr) -> bool {
    match expr {
        Expr::Index(_) | Expr::Field(_) | Expr::Macro(_) | Expr::Unary(ExprUnary { op: UnOp::Deref(_), .. }) => true,
        Expr::Paren(ExprParen { expr, .. }) | Expr::Group(ExprGroup { expr, .. }) => may_be_unsized(expr),
        _ => false,
    }
}

/// The statement that checks the type of an entry without evaluating it; nothing for a literal.
pub(super) fn check(runtime: &Runtime, Entry { value, .. }: &Entry) -> Option<TokenStream> {
    let (check, value) = match value {
        Value::Literal(_) => return None,
        Value::Typed(expr) => ("check", borrowed(expr)),
        Value::Display(expr) => ("check_display", shown(runtime, expr)),
        Value::Debug(expr) => ("check_debug", shown(runtime, expr)),
    };
    let (private, check) = (runtime.private(), local(check));
    Some(quote_spanned!(Span::mixed_site()=> #private::#check(#value);))
}

/// A statement in which the expression sees the returned value as `result`, our only name that it can see. The
/// expression's own token is used, since a macro may have made it, and another one for the next.
pub(super) fn seeing(returned: &TokenStream, entry: &Entry, statement: &TokenStream) -> TokenStream {
    let Some(expr) = entry.value.expr() else { return quote_spanned!(Span::mixed_site()=> { #statement }) };
    let result = Ident::new(keys::RESULT, Span::call_site());
    let result = seen(expr, std::slice::from_ref(&result)).unwrap_or(result);
    quote_spanned!(Span::mixed_site()=> { let #result = #returned; #statement })
}

/// An attribute of the `Site`.
pub(super) fn constant(private: &TokenStream, key: &LitStr, literal: &Literal) -> TokenStream {
    let literal = match literal {
        Literal::Text(text) => quote_spanned!(Span::mixed_site()=> Text(#text)),
        Literal::Int(number) => quote_spanned!(Span::mixed_site()=> Int(#number)),
        Literal::Float(number) => quote_spanned!(Span::mixed_site()=> Float(#number)),
        Literal::Bool(flag) => quote_spanned!(Span::mixed_site()=> Bool(#flag)),
    };
    quote_spanned!(key.span()=> (#key, #private::Literal::#literal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    fn read_source(source: &str) -> (Vec<String>, String) {
        let mut diagnostics = Diagnostics::default();
        let entries = read(&mut diagnostics, source.parse().expect("the test's own tokens"));
        let shown = entries.iter().map(|Entry { key, value }| {
            let kind = match value {
                Value::Literal(Literal::Text(_)) => "text",
                Value::Literal(Literal::Int(_)) => "int",
                Value::Literal(Literal::Float(_)) => "float",
                Value::Literal(Literal::Bool(_)) => "bool",
                Value::Typed(_) => "typed",
                Value::Display(_) => "display",
                Value::Debug(_) => "debug",
            };
            format!("{}: {kind}", key.value())
        });
        (shown.collect(), diagnostics.into_tokens().to_string())
    }

    #[test]
    fn reads_every_form() {
        let (entries, errors) = read_source(
            r#""a.b" = "x", c = -1, d.type = 1.5, e = true, f, %g, ?h, "i" = %j.k(), l = ?m, n = 18446744073709551615, o.p, %self.q"#,
        );
        assert_eq!(errors, "");
        assert_eq!(
            entries,
            [
                "a.b: text",
                "c: int",
                "d.type: float",
                "e: bool",
                "f: typed",
                "g: display",
                "h: debug",
                "i: display",
                "l: debug",
                "n: typed",
                "o.p: typed",
                "self.q: display",
            ]
        );
    }

    #[test]
    fn what_may_have_no_size_is_behind_another_reference() {
        let recorded = |source: &str| {
            let mut diagnostics = Diagnostics::default();
            let entries = read(&mut diagnostics, source.parse().expect("the test's own tokens"));
            let runtime = Runtime::from_options(&mut Options::default());
            values(&runtime, None, &entries).to_string().replace(' ', "")
        };
        for place in ["a[..3]", "(a[1])", "a.1", "a!()", "*a.b", "(*(a))"] {
            let expected =
                if place.starts_with('*') { format!("match&&({place}){{") } else { format!("match&&{place}{{") };
            for sigil in ["%", "?"] {
                let recorded = recorded(&format!("\"k\" = {sigil}{place}")).replace("__es_", "");
                assert!(recorded.contains(&expected), "{recorded}");
            }
            assert!(!recorded(&format!("\"k\" = {place}")).contains("match"));
        }
        for value in ["a", "(a)", "b(&a[..3])", "a[1].b()", "-a"] {
            assert!(!recorded(&format!("\"k\" = %{value}")).contains("match&&"), "{value}");
        }
    }

    #[test]
    fn what_was_returned_has_the_name_by_which_each_expression_sees_it() {
        let source = r#""a" = result.len(), "b" = 1, "c" = d.filter(|result| result.ok), "e" = f!("{result}")"#;
        let entries = read(&mut Diagnostics::default(), source.parse().expect("the test's own tokens"));
        let returned = local("returned");
        let runtime = Runtime::from_options(&mut Options::default());
        let values = values_of(&runtime, &quote_spanned!(Span::mixed_site()=> returned), &entries);
        let bound = format!("let result = {returned} ;");
        assert_eq!(values.to_string().matches(&bound).count(), 3, "{values}");
    }

    #[test]
    fn mistakes_are_reported_one_by_one() {
        let (entries, errors) = read_source(r#""a", "b" = 1, b = 2, "" = 3, 7 = 8, "c" = d?, e"#);
        assert_eq!(errors.matches("compile_error").count(), 5, "{errors}");
        assert_eq!(entries.last().map(String::as_str), Some("e: typed"));
    }

    #[test]
    fn what_has_no_name_has_a_key() {
        let (entries, errors) = read_source(
            "a.b(), c.0, crate::D, ?e[1], f!(g), self.h.1.i, j::<K>(), l + m, n, o -> p, \"q\" = r.s(), t.",
        );
        assert_eq!(entries, ["n: typed", "q: typed"]);
        assert_eq!(errors.matches("an expression needs a key").count(), 9, "{errors}");
        assert_eq!(errors.matches("compile_error").count(), 10, "{errors}");
        for constant in ["ORDER_ID = a", "keys::ORDER = 1", "crate::keys::order = b", "r#ORDER = c"] {
            assert!(read_source(constant).1.contains("a constant cannot be the key"), "{constant}");
        }
        assert_eq!(read_source("名前 = a, 名 = b").0, ["名前: typed", "名: typed"]);
        assert!(read_source("keys::ORDER == 1").1.contains("needs a key"));
        assert!(read_source("a as u64").1.contains("needs a key"));
        assert!(read_source("a b, c").1.contains("expected `,`"));
    }

    #[test]
    fn a_keyword_is_a_key_and_no_value() {
        let (entries, errors) = read_source("type = 1, async, %a.match, crate.b, r#in, self");
        assert_eq!(entries, ["type: int", "in: typed", "self: typed"]);
        for word in ["async", "match", "crate"] {
            let message = format!("`{word}` is a keyword and has no value; write `{word} = expression`");
            assert!(errors.contains(&message), "{errors}");
        }
    }
}
