//! After a mistake the user's item is handed back, and the expansion uses nothing that is wrong: otherwise the compiler
//! would report the same mistake again, in other words.

use proc_macro2::TokenStream;

use crate::seeds::{AGGREGATE, Expansion, tokens};

/// An item with one mistake, and what an expansion that used it would contain.
const MISTAKES: [(Expansion, &str, &str); 18] = [
    (crate::command_handler, "impl A { unsafe fn place(&self, c: C) -> R { r } }", "Self :: place"),
    (crate::command_handler, "impl A { fn place(&self, c: &C) -> R { r } }", "Self :: place"),
    (crate::command_handler, "impl A { fn place(self, c: C) -> R { r } }", "Self :: place"),
    (crate::command_handler, "impl A { fn place(&self, c: &C) -> R { r } }", "Handle < &"),
    (crate::command_handler, "impl A { fn place<C>(&self, c: C) -> R { r } }", "Handle < C >"),
    (crate::command_handler, "impl A { fn place(&self, c: impl C) -> R { r } }", "Handle < impl"),
    (crate::query_handler, "impl A { fn find<const N: usize>(&self, q: Q) -> R { r } }", "Self :: find"),
    (crate::projection, "impl A { fn on(self, e: &Recorded<E>) {} fn to(&self, e: &Recorded<F>) {} }", "Self :: on"),
    (
        crate::projection,
        "impl A { unsafe fn on(&self, e: &Recorded<E>) {} fn to(&self, e: &Recorded<F>) {} }",
        "Self :: on",
    ),
    (
        crate::process_manager,
        "impl A { fn on(self, e: &Recorded<E>) {} fn to(&self, e: &Recorded<F>) {} }",
        "Self :: on",
    ),
    (
        crate::process_manager,
        "impl A { fn on<const N: usize>(&self, e: &Recorded<E>) {} fn to(&self, e: &Recorded<F>) {} }",
        "Self :: on",
    ),
    (
        crate::process_manager,
        "impl A { async fn on(&self, e: &Recorded<E>) {} fn to(&self, e: &Recorded<F>) {} }",
        "Self :: on",
    ),
    (
        crate::process_manager,
        "impl A { fn on(&self, #[cfg(a)] e: &Recorded<E>, #[cfg(b)] e: &R<F>) {} fn to(&self, e: &Recorded<F>) {} }",
        "Self :: on",
    ),
    (AGGREGATE, "#[aggregate(id = I, events(E, 1))] struct A;", "Apply"),
    (AGGREGATE, "#[aggregate(id = I, events(E))] struct A<T>;", "Apply"),
    (AGGREGATE, "#[aggregate(id = I, events(E, 1))] struct A;", "type Event = AEvent"),
    (AGGREGATE, "#[aggregate(id = I, error = Box<dyn Error>, events(E))] struct A;", "Infallible"),
    (AGGREGATE, "#[aggregate(id = I, eror = E, events(E))] struct A;", "Infallible"),
];

fn expanded(expand: Expansion, item: &str) -> String {
    expand(TokenStream::new(), tokens(item)).to_string()
}

#[test]
fn what_is_wrong_is_not_made_use_of() {
    for (expand, item, used) in MISTAKES {
        let expansion = expanded(expand, item);
        assert!(expansion.contains("compile_error"), "{item} is right");
        assert!(!expansion.contains(used), "{item} leads to `{used}`:\n{expansion}");
    }
}

#[test]
fn what_is_right_is_made_use_of() {
    let rights: [(Expansion, &str, &[&str]); 5] = [
        (crate::command_handler, "impl A { fn place(&self, c: C) -> R { r } }", &["Self :: place", "Handle < C >"]),
        (
            crate::query_handler,
            "impl A { fn find(&self, q: Q) -> R { r } }",
            &["'static , Q : :: eventsource_runtime :: Query < > , R : :: eventsource_runtime"],
        ),
        (crate::projection, "impl A { fn on(&self, e: &Recorded<E>) {} }", &["Self :: on"]),
        (crate::process_manager, "impl A { fn on(&self, e: &Recorded<E>) {} }", &["Self :: on"]),
        (AGGREGATE, "#[aggregate(id = I, events(E))] struct A;", &["Apply", "type Event = AEvent"]),
    ];
    for (expand, item, used) in rights {
        let expansion = expanded(expand, item);
        assert!(used.iter().all(|used| expansion.contains(used)), "{item} does not lead to `{used:?}`:\n{expansion}");
    }
}

/// The compiler reports the name, and would report the call of the wrong method as well.
#[test]
fn of_methods_of_one_name_the_first_is_made_use_of() {
    let blocks: [(Expansion, &str); 5] = [
        (crate::command_handler, "impl A { fn on(&self, c: C) -> R { r } fn on(&self, d: D) -> R { r } }"),
        (crate::command_handler, "impl A { fn on(&self, c: C) -> R { r } fn on(&self, c: C) -> R { r } }"),
        (crate::query_handler, "impl A { fn on(&self, q: Q) -> R { r } fn on(&self, p: P) -> R { r } }"),
        (crate::projection, "impl A { fn on(&self, e: &Recorded<E>) {} fn on(&self, e: &Recorded<F>) {} }"),
        (crate::process_manager, "impl A { fn on(&self, e: &Recorded<E>) {} fn on(&self, e: &Recorded<F>) {} }"),
    ];
    for (expand, block) in blocks {
        let uses = |block: &str| expanded(expand, block).matches("Self :: on").count();
        assert!(!expanded(expand, block).contains("compile_error"), "{block}");
        assert_eq!(uses(block), 1, "{block}");
        assert_eq!(uses(&block.replace("} fn on", "} #[cfg(a)] fn on")), 2, "{block}");
    }
}
