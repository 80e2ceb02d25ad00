//! Connections without TLS; an address that asks for it is refused.

use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::{Config, NoTls};

use super::super::{PostgresError, PostgresOptions};

#[derive(Clone)]
pub(in crate::store::postgres) struct Tls(());

impl Tls {
    #[expect(clippy::unused_self, reason = "its twin has something to connect with")]
    pub(in crate::store::postgres) fn connector(&self) -> NoTls {
        NoTls
    }
}

pub(in crate::store::postgres) fn tls(config: &Config, options: &PostgresOptions) -> Result<Tls, PostgresError> {
    let asked = config.get_ssl_mode() == SslMode::Require || config.get_ssl_negotiation() == SslNegotiation::Direct;
    if asked || options.root_certificates.is_some() {
        return Err(PostgresError::new("the address asks for TLS; build with the feature `postgres-tls`"));
    }
    Ok(Tls(()))
}
