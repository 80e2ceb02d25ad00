//! Without TLS there is no certificate to refuse.

pub(super) fn are_refused(_: &lapin::Error) -> bool {
    false
}
