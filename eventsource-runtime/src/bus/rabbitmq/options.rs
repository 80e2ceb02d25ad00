//! How a bus on `RabbitMQ` is set up.

use std::fmt;
use std::time::Duration;

use lapin::uri::{AMQPScheme, AMQPUri};

use super::topology::SLOTS;
use crate::bus::error::BusError;

/// Whether the crate was built with TLS for this broker.
const TLS: bool = cfg!(feature = "rabbitmq-tls");
/// The heartbeat interval in seconds; a connection is lost after two that are missed.
const HEARTBEAT: u16 = 10;

/// How a bus on RabbitMQ is set up.
#[derive(Clone)]
#[must_use = "hand it to `RabbitMqBus::connect`"]
pub struct RabbitMqOptions {
    pub(super) exchange: String,
    pub(super) queues: u16,
    pub(super) delivery_limit: u32,
    pub(super) publish_timeout: Duration,
    authorities: Vec<String>,
}

impl RabbitMqOptions {
    /// A bus on the exchange of that name, which is created if it is new.
    pub fn new(exchange: impl Into<String>) -> Self {
        Self {
            exchange: exchange.into(),
            queues: 1,
            delivery_limit: 20,
            publish_timeout: Duration::from_secs(30),
            authorities: Vec::new(),
        }
    }

    /// The number of queues among which each group divides its streams; 1 by default, 64 at most. As many members of a
    /// group can work at once, but the broker takes no queue away from the member that was there first: of members that
    /// join one after the other, the first works on all queues, and the others stand by until it leaves. All members
    /// must agree. With another number, streams move to other queues: a message may be handled before older ones of its
    /// stream that are still in the old queue, and what is in a queue that the new number does not have stays there,
    /// without a consumer, until a member with the old number comes back. Let the queues run empty first, and stop all
    /// members with the old number before the first one with the new: it unbinds what the old one had.
    pub fn queues(self, queues: u16) -> Self {
        Self { queues: queues.clamp(1, SLOTS), ..self }
    }

    /// How often the broker redelivers a message that is not acknowledged before it becomes a dead letter; 20 by
    /// default. It is for messages that kill the process: those whose handler fails are retried as the subscription
    /// says. When a process or a connection ends, that counts as a delivery of all that it had received and not
    /// acknowledged, up to the subscription's prefetch: if a message kills again and again, those around it become dead
    /// letters with it. A prefetch of 1 spares them if there is only one queue; of several, each has one message in
    /// flight. All members of a group must have the same prefetch, and the queues must be empty before it is reduced:
    /// the broker first redelivers what came back last, so that a member that takes less gets a stream out of order.
    ///
    /// The broker also closes a channel on which a delivery stays unacknowledged for longer than its own
    /// `consumer_timeout`, 30 minutes unless set there; that, too, counts as a delivery of all that was in flight. What
    /// waits in its stream's lane behind others is in flight as well: all messages of the prefetch may be of one stream,
    /// so the prefetch times the time that a handler takes, with its retries, must stay below that limit. Otherwise
    /// healthy messages come again and again, and at last become dead letters. Take less, or raise the limit.
    pub fn delivery_limit(self, deliveries: u32) -> Self {
        Self { delivery_limit: deliveries.max(1), ..self }
    }

    /// How long a publication is retried while the broker is away, refuses it, or does not confirm it; 30 seconds by
    /// default. A connection that leaves a publication unconfirmed for 10 seconds is replaced, even if nobody waits
    /// that long.
    pub fn publish_timeout(self, timeout: Duration) -> Self {
        Self { publish_timeout: timeout, ..self }
    }

    /// Also trusts brokers whose TLS certificate is signed by one of these, in PEM. They are added to those that the
    /// system trusts, and to those that were added before; `PostgresOptions::root_certificates` replaces what is
    /// trusted. The address must ask for TLS, with `amqps`: otherwise the bus does not connect.
    pub fn add_root_certificates(mut self, pem: impl Into<String>) -> Self {
        self.authorities.push(pem.into());
        self
    }

    /// The authorities, if they are certificates and there is TLS: otherwise they would be ignored silently.
    pub(super) fn authorities(&self, uri: &AMQPUri) -> Result<Option<String>, BusError> {
        if self.authorities.is_empty() {
            return Ok(None);
        }
        if uri.scheme != AMQPScheme::AMQPS {
            return Err(BusError::Configuration(
                "certificates are given, but the address does not ask for TLS; write `amqps`".into(),
            ));
        }
        if self.authorities.iter().any(|pem| !pem.contains("-----BEGIN CERTIFICATE-----")) {
            return Err(BusError::Configuration(
                "the certificate authority is not a certificate in PEM; give the content of its file".into(),
            ));
        }
        Ok(Some(self.authorities.join("\n")))
    }
}

/// Omits the authority, whose file may hold a key as well.
impl fmt::Debug for RabbitMqOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitMqOptions")
            .field("exchange", &self.exchange)
            .field("queues", &self.queues)
            .field("delivery_limit", &self.delivery_limit)
            .field("publish_timeout", &self.publish_timeout)
            .finish_non_exhaustive()
    }
}

/// Parses a URL; the error contains nothing of it, since it holds a password.
pub(super) fn uri(url: &str) -> Result<AMQPUri, BusError> {
    let refused = |reason: &'static str| BusError::Configuration(reason.into());
    let mut uri: AMQPUri = url
        .parse()
        .map_err(|_| refused("the URL of RabbitMQ cannot be read; write `amqp://user:password@host:port/vhost`"))?;
    if uri.scheme == AMQPScheme::AMQPS && !TLS {
        return Err(refused("`amqps` needs the feature `rabbitmq-tls`; add it, or write `amqp` on a trusted network"));
    }
    uri.query.heartbeat.get_or_insert(HEARTBEAT);
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(scheme: &str) -> AMQPUri {
        format!("{scheme}://user:sesame@host").parse().unwrap()
    }

    #[test]
    fn a_url_with_a_password_leaves_nothing_of_it_in_an_error() {
        for url in ["amqp://user:sesame@host:nonsense", "http://user:sesame@host", "sesame"] {
            let error = uri(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("sesame"), "{error:?}");
        }
    }

    #[test]
    fn an_authority_that_is_no_certificate_is_refused_and_never_told() {
        let certificate = "-----BEGIN CERTIFICATE-----";
        let refused = RabbitMqOptions::new("orders").add_root_certificates("sesame");
        for options in [refused.clone(), refused.add_root_certificates(certificate)] {
            let error = options.authorities(&at("amqps")).unwrap_err();
            assert!(matches!(error, BusError::Configuration(_)));
            assert!(!format!("{error} {error:?} {options:?}").contains("sesame"), "{error:?}");
        }
    }

    /// The connection was made in plain text, and nobody said so.
    #[test]
    fn authorities_are_refused_where_the_address_does_not_ask_for_tls() {
        let options = RabbitMqOptions::new("orders");
        assert!(matches!(options.authorities(&at("amqp")), Ok(None)));
        let options = options.add_root_certificates("-----BEGIN CERTIFICATE-----one");
        let error = options.authorities(&at("amqp")).unwrap_err();
        assert!(matches!(error, BusError::Configuration(_)) && error.to_string().contains("`amqps`"), "{error:?}");
        let options = options.add_root_certificates("-----BEGIN CERTIFICATE-----two");
        let both = options.authorities(&at("amqps")).unwrap();
        assert_eq!(both.as_deref(), Some("-----BEGIN CERTIFICATE-----one\n-----BEGIN CERTIFICATE-----two"));
    }

    #[test]
    fn tls_is_never_left_out_in_silence() {
        assert_eq!(uri("amqps://user:sesame@host").is_ok(), TLS);
        assert!(uri("amqp://user:sesame@host").is_ok());
    }
}
