//! Options for opening a PostgreSQL store.

use std::fmt;
use std::time::Duration;

/// Options for opening a PostgreSQL store.
///
/// ```
/// # use std::time::Duration;
/// # use eventsource_runtime::store::PostgresOptions;
/// let options = PostgresOptions::default().schema("shop").connections(4);
/// ```
#[derive(Clone)]
#[must_use]
pub struct PostgresOptions {
    pub(super) schema: String,
    pub(super) connections: usize,
    pub(super) polling_interval: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) root_certificates: Option<Vec<u8>>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            schema: "eventsource".to_owned(),
            connections: (2 * cores).clamp(4, 16),
            polling_interval: Duration::from_millis(250),
            connect_timeout: Duration::from_secs(5),
            root_certificates: None,
        }
    }
}

/// A pool reserves room for all of its connections when it is made.
const MOST_CONNECTIONS: usize = 10_000;

impl PostgresOptions {
    /// The schema that holds the store's tables, `eventsource` unless set. Stores in different schemas are independent.
    /// The tables of your projections are none of them: a name without a schema is found by the role's `search_path`,
    /// which is `public` unless the role or the address (`?options=-csearch_path%3Dbank`) says otherwise. Services that
    /// share a database need one each.
    pub fn schema(self, schema: impl Into<String>) -> Self {
        Self { schema: schema.into(), ..self }
    }

    /// How many connections read, from 1 to 10,000, and how many run projections; two for each core, from 4 to 16,
    /// unless set. They are made when needed. Appends have two more, and use a reading one while all of those are
    /// free; saving snapshots has two, the leases of projections two, and waiting for the feed to move one: at most
    /// twice the number and seven, and three more for each projection while it is built aside.
    pub fn connections(self, connections: usize) -> Self {
        Self { connections: connections.clamp(1, MOST_CONNECTIONS), ..self }
    }

    /// How often the feed's head is looked up while somebody waits for it and no notification comes: an interval of at
    /// least a millisecond; 250 ms unless set.
    pub fn polling_interval(self, polling_interval: Duration) -> Self {
        Self { polling_interval: polling_interval.max(Duration::from_millis(1)), ..self }
    }

    /// How long making a connection may take, and how long a call waits for a free one; 5 seconds unless set. Of
    /// several hosts each gets a part of it, unless the address has a `connect_timeout`, which is for each.
    pub fn connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// The certificates of the only authorities to trust, in PEM. They replace Mozilla's list, which is trusted unless
    /// this is set; `RabbitMqOptions::add_root_certificates` adds to what is trusted. They need the feature
    /// `postgres-tls` and an address that asks for TLS.
    pub fn root_certificates(self, pem: impl Into<Vec<u8>>) -> Self {
        Self { root_certificates: Some(pem.into()), ..self }
    }
}

/// Whether there are certificates is shown, and not which: they are long, and say whose server it is.
impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("schema", &self.schema)
            .field("connections", &self.connections)
            .field("polling_interval", &self.polling_interval)
            .field("connect_timeout", &self.connect_timeout)
            .field("has_root_certificates", &self.root_certificates.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The store had no room for so many, and panicked when it was opened.
    #[test]
    fn a_number_of_connections_that_no_server_has_is_cut_to_one_that_there_is_room_for() {
        let connections = |number| PostgresOptions::default().connections(number).connections;
        assert_eq!([0, 1, 300, usize::MAX].map(connections), [1, 1, 300, MOST_CONNECTIONS]);
    }

    #[test]
    fn certificates_are_not_shown() {
        let shown = |options: PostgresOptions| format!("{options:?}");
        let options = || PostgresOptions::default().schema("shop");
        assert!(shown(options()).contains("has_root_certificates: false"));
        // The derive wrote each byte as a number.
        let with = shown(options().root_certificates("-----BEGIN CERTIFICATE-----"));
        assert!(with.contains("\"shop\"") && with.contains("has_root_certificates: true"), "{with}");
        assert!(!with.contains("45, 45") && !with.contains("BEGIN"), "{with}");
    }
}
