//! OTLP over HTTP with protobuf.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use reqwest::redirect::Policy;

use super::last_response::LastResponse;
use super::partial_success::rejected;
use super::settings::Settings;
use super::{failed, tls};
use crate::telemetry::attributes::bounded;
use crate::telemetry::{Chain, TelemetryError};

/// An exporter's builder with all settings. The client is ours, so that no feature that somebody else enables on the
/// exporter's crate replaces it.
pub(super) fn prepared<B>(builder: B, settings: &Settings, last: &Arc<LastResponse>) -> Result<B, TelemetryError>
where
    B: WithExportConfig + WithHttpConfig,
{
    // A redirect would send the headers, and with them the secrets, elsewhere.
    let client = reqwest::Client::builder().timeout(settings.timeout).redirect(Policy::none());
    let client = client.default_headers(settings.headers.clone());
    let client = tls::secured(client, settings)?.build().map_err(|error| failed(settings.signal, error))?;
    let builder = match settings.compression {
        Some(compression) => builder.with_compression(compression),
        None => builder,
    };
    Ok(builder
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(&settings.url)
        .with_timeout(settings.timeout)
        .with_http_client(Client { client, last_response: Arc::clone(last) }))
}

/// A client that keeps what the exporter's crate drops: why a receiver was not reached, and what it did not take.
#[derive(Debug)]
struct Client {
    client: reqwest::Client,
    last_response: Arc<LastResponse>,
}

type Answer = Result<Response<Bytes>, HttpError>;

impl HttpClient for Client {
    fn send_bytes<'a, 'sent>(&'a self, request: Request<Bytes>) -> Pin<Box<dyn Future<Output = Answer> + Send + 'sent>>
    where
        'a: 'sent,
        Self: 'sent,
    {
        Box::pin(async move {
            let receiver = receiver(&request);
            let answer = self.client.send_bytes(request).await.map_err(without_url);
            match &answer {
                Ok(answer) if answer.status().is_success() => {
                    let rejected = rejected(answer.body());
                    self.last_response.answer(rejected.map(|(count, why)| (count, bounded(format_args!("{why}")).0)));
                }
                Ok(answer) => self.last_response.trouble(format!("{receiver} answers {}", answer.status())),
                Err(error) => {
                    let error: &(dyn Error + 'static) = &**error;
                    self.last_response.trouble(bounded(format_args!("{receiver}: {}", Chain(error))).0);
                }
            }
            answer
        })
    }
}

/// Scheme, host and port of a request. The rest of an address may hold a secret.
fn receiver(request: &Request<Bytes>) -> String {
    let address = request.uri();
    let scheme = address.scheme_str().unwrap_or("http");
    let port = address.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    format!("{scheme}://{}:{port}", address.host().unwrap_or_default())
}

fn without_url(error: HttpError) -> HttpError {
    match error.downcast::<reqwest::Error>() {
        Ok(error) => Box::new(error.without_url()),
        Err(error) => error,
    }
}
