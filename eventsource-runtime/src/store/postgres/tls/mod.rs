//! TLS, or the lack of it.

#[cfg(not(feature = "postgres-tls"))]
mod off;
#[cfg(feature = "postgres-tls")]
mod on;

#[cfg(not(feature = "postgres-tls"))]
pub(super) use off::{Tls, tls};
#[cfg(feature = "postgres-tls")]
pub(super) use on::{Tls, tls};
