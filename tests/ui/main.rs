//! What the macros accept and refuse. A file a fault, named for it; expected output is the pinned compiler's.
//!
//! `TRYBUILD=overwrite` rewrites the expected output.

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.pass("pass/*/*.rs");
    cases.compile_fail("fail/*/*.rs");
}
