//! gRPC over TLS.

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use super::settings::Settings;
use super::{failed, tls};
use crate::telemetry::TelemetryError;

/// A channel with the trust and the identity of the settings.
pub(super) fn secured(endpoint: Endpoint, settings: &Settings) -> Result<Endpoint, TelemetryError> {
    let Some(tls) = &settings.tls else { return Ok(endpoint) };
    let mut config = match &tls.trusted {
        Some(pem) => {
            // Tonic accepts a file without a certificate as well, and then trusts nobody.
            tls::roots(tls).map_err(|error| failed(settings.signal, error))?;
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem))
        }
        None => ClientTlsConfig::new().with_native_roots(),
    };
    if let Some(identity) = &tls.identity {
        config = config.identity(Identity::from_pem(&identity.certificate, &identity.key));
    }
    endpoint.tls_config(config).map_err(|error| failed(settings.signal, error))
}
