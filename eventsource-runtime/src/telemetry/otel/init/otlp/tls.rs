//! TLS: whom to trust, what to present, and HTTP over it.

use std::fs;
use std::sync::Arc;

use reqwest::ClientBuilder;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::failed;
use super::settings::Settings;
use crate::error::BoxError;
use crate::telemetry::TelemetryError;
use crate::telemetry::otel::init::env::{Env, Signal, Variables, variables};

/// Whom to trust, and who we are. It has no `Debug`: it may hold a private key.
pub(super) struct Tls {
    /// PEM; without it, what the system trusts.
    pub(super) trusted: Option<Vec<u8>>,
    pub(super) identity: Option<Identity>,
}

/// Our certificate with those that signed it, and its key, both PEM.
pub(super) struct Identity {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
}

/// The files that the variables name.
pub(super) fn read(env: &Env, signal: Signal, _address: &'static str) -> Result<Tls, TelemetryError> {
    let file = |variables: Variables| {
        let Some((variable, path)) = env.own_or_general(signal, variables) else { return Ok(None) };
        let unreadable = |source| TelemetryError::Unreadable { variable, path: path.into(), source };
        fs::read(path).map_err(unreadable).map(|content| Some((variable, path, content)))
    };
    let trusted = file(variables!("CERTIFICATE"))?.map(|(_, _, content)| content);
    let identity = match (file(variables!("CLIENT_CERTIFICATE"))?, file(variables!("CLIENT_KEY"))?) {
        (None, None) => None,
        (Some((_, _, certificate)), Some((_, _, key))) => Some(Identity { certificate, key }),
        (Some((variable, path, _)), None) | (None, Some((variable, path, _))) => {
            let hint = "write `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE` and `OTEL_EXPORTER_OTLP_CLIENT_KEY`, or neither";
            return Err(TelemetryError::Unsupported { variable, value: path.to_owned(), hint });
        }
    };
    Ok(Tls { trusted, identity })
}

/// A client with the trust and the identity of the settings.
pub(super) fn secured(client: ClientBuilder, settings: &Settings) -> Result<ClientBuilder, TelemetryError> {
    let config = config(settings.tls.as_ref()).map_err(|error| failed(settings.signal, error))?;
    Ok(client.tls_backend_preconfigured(config).https_only(settings.tls.is_some()))
}

/// Without TLS, one that trusts nobody: left to itself the client would ask the process for its crypto provider, and
/// panic if none was chosen.
fn config(tls: Option<&Tls>) -> Result<ClientConfig, BoxError> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let trusted = tls.map_or_else(|| Ok(RootCertStore::empty()), roots)?;
    let config = config.with_root_certificates(trusted);
    Ok(match tls.and_then(|tls| tls.identity.as_ref()) {
        None => config.with_no_client_auth(),
        Some(identity) => {
            let chain = CertificateDer::pem_slice_iter(&identity.certificate).collect::<Result<_, _>>()?;
            config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(&identity.key)?)?
        }
    })
}

/// Only what `OTEL_EXPORTER_OTLP_CERTIFICATE` names; or what the system trusts.
pub(super) fn roots(tls: &Tls) -> Result<RootCertStore, BoxError> {
    let mut roots = RootCertStore::empty();
    match &tls.trusted {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                roots.add(certificate?)?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err("no certificate to trust; name one in `OTEL_EXPORTER_OTLP_CERTIFICATE`".into());
    }
    Ok(roots)
}
