//! Connections behind TLS, by rustls. The server's certificate is always verified, its name included.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::{PostgresError, PostgresOptions};

#[derive(Clone)]
pub(in crate::store::postgres) struct Tls(MakeRustlsConnect);

impl Tls {
    pub(in crate::store::postgres) fn connector(&self) -> MakeRustlsConnect {
        self.0.clone()
    }
}

pub(in crate::store::postgres) fn tls(config: &Config, options: &PostgresOptions) -> Result<Tls, PostgresError> {
    if options.root_certificates.is_some() && config.get_ssl_mode() != SslMode::Require {
        return Err(PostgresError::new(
            "certificates are given, but the address does not ask for TLS; add sslmode=require",
        ));
    }
    let roots = match &options.root_certificates {
        None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        Some(pem) => given(pem)?,
    };
    // Explicit, instead of the process's default, which another crate may have set, or nobody.
    let client = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| PostgresError::new(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Tls(MakeRustlsConnect::new(client)))
}

fn given(pem: &[u8]) -> Result<RootCertStore, PostgresError> {
    let unusable = |error: &dyn std::fmt::Display| {
        PostgresError::new(format!("the root certificates cannot be used: {error}; give certificates in PEM"))
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() { Err(unusable(&"there is none")) } else { Ok(roots) }
}
