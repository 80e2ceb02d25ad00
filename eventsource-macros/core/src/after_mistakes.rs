//! After a mistake the user's item is handed back, and the expansion uses nothing that is wrong: otherwise the compiler
//! would report the same mistake again, in other words.

use proc_macro2::TokenStream;

use crate::seeds::tokens;

type Expansion = fn(TokenStream, TokenStream) -> TokenStream;

/// Options and an item with one mistake, and what an expansion that used it would contain.
const MISTAKES: [(Expansion, &str, &str, &str); 16] = [
    (crate::command_handler, "", "impl A { unsafe fn place(&self, c: C) -> R { r } }", "Self :: place"),
    (crate::command_handler, "", "impl A { fn place(&self, c: &C) -> R { r } }", "Self :: place"),
    (crate::command_handler, "", "impl A { fn place(self, c: C) -> R { r } }", "Self :: place"),
    (crate::command_handler, "", "impl A { fn place(&self, c: &C) -> R { r } }", "Handle < &"),
    (crate::command_handler, "", "impl A { fn place<C>(&self, c: C) -> R { r } }", "Handle < C >"),
    (crate::command_handler, "", "impl A { fn place(&self, c: impl C) -> R { r } }", "Handle < impl"),
    (crate::query_handler, "", "impl A { fn find<const N: usize>(&self, q: Q) -> R { r } }", "Self :: find"),
    (
        crate::projection,
        "",
        "impl A { fn on(self, e: &Recorded<E>) {} fn to(&self, e: &Recorded<F>) {} }",
        "Self :: on",
    ),
    (
        crate::projection,
        "",
        "impl A { unsafe fn on(&self, e: &Recorded<E>) {} fn to(&self, e: &Recorded<F>) {} }",
        "Self :: on",
    ),
    (
        crate::process_manager,
        "",
        "impl A { fn on(self, e: &Recorded<E>) {} fn to(&self, e: &Recorded<F>) {} }",
        "Self :: on",
    ),
    (
        crate::process_manager,
        "",
        "impl A { fn on<const N: usize>(&self, e: &Recorded<E>) {} fn to(&self, e: &Recorded<F>) {} }",
        "Self :: on",
    ),
    (
        crate::process_manager,
        "",
        "impl A { async fn on(&self, e: &Recorded<E>) {} fn to(&self, e: &Recorded<F>) {} }",
        "Self :: on",
    ),
    (
        crate::process_manager,
        "",
        "impl A { fn on(&self, #[cfg(a)] e: &Recorded<E>, #[cfg(b)] e: &R<F>) {} fn to(&self, e: &Recorded<F>) {} }",
        "Self :: on",
    ),
    (AGGREGATE, "", "#[aggregate(id = I, events(E, 1))] struct A;", "Apply"),
    (AGGREGATE, "", "#[aggregate(id = I, events(E))] struct A<T>;", "Apply"),
    (AGGREGATE, "", "#[aggregate(id = I, events(E, 1))] struct A;", "type Event = AEvent"),
];

const AGGREGATE: Expansion = |_, item| crate::aggregate(item);

#[test]
fn what_is_wrong_is_not_made_use_of() {
    for (expand, options, item, used) in MISTAKES {
        let expansion = expand(tokens(options), tokens(item)).to_string();
        assert!(expansion.contains("compile_error"), "{item} is right");
        assert!(!expansion.contains(used), "{item} leads to `{used}`:\n{expansion}");
    }
}

#[test]
fn what_is_right_is_made_use_of() {
    let handler = crate::command_handler(TokenStream::new(), tokens("impl A { fn place(&self, c: C) -> R { r } }"));
    assert!(handler.to_string().contains("Self :: place"), "{handler}");
    assert!(handler.to_string().contains("Handle < C >"), "{handler}");
    let answer = crate::query_handler(TokenStream::new(), tokens("impl A { fn find(&self, q: Q) -> R { r } }"));
    assert!(
        answer.to_string().contains("where Q : :: eventsource_runtime :: Query < > , R : :: eventsource_runtime"),
        "{answer}"
    );
    for listener in [crate::projection, crate::process_manager] {
        let expansion = listener(TokenStream::new(), tokens("impl A { fn on(&self, e: &Recorded<E>) {} }"));
        assert!(expansion.to_string().contains("Self :: on"), "{expansion}");
    }
    let expansion = crate::aggregate(tokens("#[aggregate(id = I, events(E))] struct A;")).to_string();
    assert!(expansion.contains("Apply") && expansion.contains("type Event = AEvent"), "{expansion}");
}
