//! Nothing: what is generated is tests.
