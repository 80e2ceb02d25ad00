//! Real items, which the tests expand.

use std::str::FromStr as _;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use crate::Instrumentation;

pub(crate) type Expansion = fn(TokenStream, TokenStream) -> TokenStream;

pub(crate) const TRACED: Expansion = |options, item| crate::traced(Instrumentation::On, options, item);
pub(crate) const TRACED_OFF: Expansion = |options, item| crate::traced(Instrumentation::Off, options, item);
pub(crate) const EVENT: Expansion = |_, item| crate::event(item);
pub(crate) const AGGREGATE: Expansion = |_, item| crate::aggregate(item);
pub(crate) const COMMAND: Expansion = |_, item| crate::command(item);
pub(crate) const QUERY: Expansion = |_, item| crate::query(item);

/// Options and an item for each macro.
pub(crate) const SEEDS: [(Expansion, &str, &str); 10] = [
    (
        TRACED,
        r#""a.b", kind = "client", attributes("k" = 1, %x, a.b = ?y, z), links = q, root"#,
        "pub async fn f<T>(&self, x: T) -> R { a? }",
    ),
    (
        TRACED_OFF,
        r#"record("k" = result), parent = q, enable_tracing = self.on, crate = a::b"#,
        "fn f(self: Arc<Self>) -> impl T { #![allow(x)] }",
    ),
    (
        EVENT,
        "",
        r#"#[event(name = "a", version = 3, alias("b", "c"), upcast(1 => f, 2 => g))] struct E<T>(#[event(attribute = "k")] T);"#,
    ),
    (
        AGGREGATE,
        "",
        r#"#[aggregate(id = Map<K, V>, error = E, events(A, b::B<C>), snapshot(every = 3, version = 4), derive(Debug), name = "a")] pub struct A { x: u8 }"#,
    ),
    (
        COMMAND,
        "",
        r#"#[command(aggregate = A, name = "n", crate = c)] struct C<'a> { #[command(id, attribute)] id: u8, #[command(attribute = "k")] k: &'a str }"#,
    ),
    (QUERY, "", r"#[query(output = Vec<T>)] enum Q { A(#[query(attribute)] u8), B { c: u8 } }"),
    (
        crate::command_handler,
        "crate = a",
        "impl<T> A<T> where T: B { #[traced(attributes(x), enable_tracing = y)] async fn f(&self, Place { x, mut y }: Place, s: &S<'_>) -> Result<E, F> { g } }",
    ),
    (crate::query_handler, "", "impl A { #[cfg(x)] fn f(&self, q: Q) -> R<T> { g } const C: u8 = 1; }"),
    (
        crate::projection,
        r#"name = "a", enable_tracing = true"#,
        "impl A { #[projection(setup)] fn s(&self, tx: &Tx<'_>) {} async fn f(&self, e: &Recorded<E>, tx: &Tx<'_>) -> R {} }",
    ),
    (
        crate::process_manager,
        r#"name = "a", enable_tracing = true, crate = b"#,
        "impl A { #[process_manager(id = e.id)] fn f(&self, e: &Recorded<E>) -> R { g } fn h(&self, c: &Rejected<C>) {} }",
    ),
];

/// The tokens of a source.
pub(crate) fn tokens(source: &str) -> TokenStream {
    TokenStream::from_str(source).expect("the test's own tokens")
}

/// Tokens in a group that cannot be seen, as what a macro's `$name:expr` stands for.
pub(crate) fn in_group(tokens: TokenStream) -> TokenTree {
    Group::new(Delimiter::None, tokens).into()
}
