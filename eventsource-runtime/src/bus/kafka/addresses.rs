//! The addresses of brokers.

use crate::bus::error::BusError;

/// Refuses a list without an address, with which librdkafka connects to nothing, and addresses that name another
/// protocol than all clients speak: librdkafka would skip them, with at most a line in its log. It would take a user
/// and a password for part of the host name, which telemetry would then show.
pub(super) fn check(brokers: &str, protocol: &str) -> Result<(), BusError> {
    if brokers.contains('@') {
        let told = "an address of Kafka has a user or a password; give them to `KafkaOptions::credentials`";
        return Err(BusError::Configuration(told.into()));
    }
    if brokers.split(',').all(|address| address.trim().is_empty()) {
        let told = "no address of Kafka is given; write `host:port`, or several of them with commas between";
        return Err(BusError::Configuration(told.into()));
    }
    let mut named = brokers.split(',').filter_map(|address| Some(address.trim().split_once("://")?.0));
    if named.all(|named| named.eq_ignore_ascii_case(protocol)) {
        return Ok(());
    }
    let told = format!(
        "an address of Kafka names another protocol than `security.protocol`, which is `{protocol}`; use \
         `KafkaOptions::tls` or `KafkaOptions::credentials` for one behind TLS, and write `host:port`"
    );
    Err(BusError::Configuration(told.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The client skipped them, and waited for brokers of which it knew none.
    #[test]
    fn an_address_that_names_another_protocol_than_is_spoken_is_refused() {
        for brokers in ["one:9092", "PLAINTEXT://one:9092,plaintext://two", "one, PLAINTEXT://two:1"] {
            assert!(check(brokers, "PLAINTEXT").is_ok(), "{brokers}");
        }
        for brokers in ["SSL://one:9093", "one:9092, ssl://two:9093", "SASL_PLAINTEXT://one"] {
            let error = check(brokers, "PLAINTEXT").unwrap_err();
            assert!(matches!(&error, BusError::Configuration(told) if told.contains("tls")), "{error:?}");
        }
        assert!(check("PLAINTEXT://one:9093", "SSL").is_err());
        assert!(check("SSL://one:9093", "SSL").is_ok());
        assert!(check("sasl_plaintext://one", "SASL_PLAINTEXT").is_ok());
    }

    /// As from a variable that is empty: it was taken, and each publication timed out.
    #[test]
    fn a_list_without_an_address_is_refused() {
        for brokers in ["", "  ", ",", " , "] {
            let error = check(brokers, "PLAINTEXT").unwrap_err();
            assert!(matches!(&error, BusError::Configuration(told) if told.contains("host:port")), "{error:?}");
        }
        assert!(check("one:9092,", "PLAINTEXT").is_ok());
    }
}
