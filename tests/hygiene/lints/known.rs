//! Lints that see something else under our macros.

/// Lints that a traced function cannot set off, or not alike, and why.
pub(super) const LOST: &[(&str, &str)] = &[
    ("clippy::missing_const_for_fn", "a function that makes a span cannot be `const`"),
    ("clippy::unused_async", "it awaits its body"),
    ("clippy::async_yields_async", "the body may return a future, which to clippy is a block's"),
    ("unconditional_recursion", "the call is the closure's, which the compiler does not look into"),
    ("clippy::needless_pass_by_value", "the closure owns what the body borrows"),
    ("clippy::needless_pass_by_ref_mut", "the closure takes it as it is"),
    ("clippy::unnecessary_wraps", "what is returned is what the closure returns"),
    ("clippy::misnamed_getters", "the body is not the field's name alone"),
    ("clippy::unconditional_recursion", "the call is the closure's"),
    ("clippy::manual_async_fn", "what is returned is the future that covers it"),
    ("clippy::elidable_lifetime_names", "as of `needless_lifetimes`"),
    ("clippy::assigning_clones", "to the closure the argument is new"),
    ("clippy::boxed_local", "the closure owns what the body borrows"),
    ("clippy::suspicious_arithmetic_impl", "the body is no longer the operator's"),
    ("clippy::suspicious_op_assign_impl", "the body is no longer the operator's"),
    ("clippy::redundant_locals", "it may change what the closure takes"),
    ("clippy::inline_always", "to clippy a body that begins with an item does nothing"),
    ("clippy::unnecessary_literal_bound", "the literal is what the closure returns"),
    ("clippy::fallible_impl_from", "the panic is the closure's"),
    ("clippy::single_option_map", "the body is the closure's"),
    ("clippy::unwrap_in_result", "the panic is the closure's"),
    ("clippy::explicit_auto_deref", "the closure returns it as it is"),
    ("clippy::derivable_impls", "the body is not the default's alone"),
    ("clippy::empty_drop", "the body is not empty"),
    ("clippy::doc_paragraphs_missing_punctuation", "the comment is an expansion's"),
    ("clippy::cognitive_complexity", "what is in the closure is not counted"),
    ("clippy::needless_lifetimes", "the closure names the type; without its lifetimes, errors of them would be ours"),
];

/// Lints that a traced `async fn` cannot set off, and why.
pub(super) const LOST_IN_ASYNC: &[(&str, &str)] = &[
    ("clippy::infinite_loop", "the loop is the block's, which has no type to write"),
    ("clippy::redundant_clone", "the block owns what is cloned"),
];

/// Lints that a traced function sets off in another place or by another name: the lint, and the name.
pub(super) const MOVED: &[(&str, &str)] = &[
    // Of the closure, not of the function.
    ("clippy::large_stack_frames", "clippy::large_stack_frames"),
    // The comment is an attribute by then.
    ("clippy::empty_line_after_doc_comments", "clippy::empty_line_after_outer_attr"),
];

/// Lints that a traced function sets off, and the same function does not without the attribute.
pub(super) const ADDED: &[(&str, &str)] = &[
    ("clippy::implicit_return", "@\npub fn f(a: u8) -> u8 { return a; }"),
    (
        "clippy::must_use_candidate",
        "static A: std::sync::Mutex<u8> = std::sync::Mutex::new(1);\n@\npub fn f(a: u8) -> bool { if let Ok(mut b) = A.lock() { *b = a; } true }",
    ),
    (
        "clippy::non_canonical_clone_impl",
        "#[derive(Copy)] pub struct A(pub u8);\nimpl Clone for A {\n@\nfn clone(&self) -> Self { *self } }",
    ),
    (
        "clippy::non_canonical_partial_ord_impl",
        "#[derive(PartialEq, Eq)] pub struct A(pub u8);\nimpl Ord for A { fn cmp(&self, other: &Self) -> std::cmp::Ordering { self.0.cmp(&other.0) } }\nimpl PartialOrd for A {\n@\nfn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> { Some(self.cmp(other)) } }",
    ),
    ("clippy::default_numeric_fallback", "@\npub fn f() -> Box<[f64]> { Box::new([1.0, 2.0]) }"),
];
