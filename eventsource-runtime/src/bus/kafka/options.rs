//! How a bus on Kafka is set up.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

use super::addresses;
use super::naming::check_name;
use crate::bus::error::BusError;
use crate::timer::FAR;

/// Whether the crate was built with TLS for this broker.
const TLS: bool = cfg!(feature = "kafka-tls");
/// Settings that keep messages from being lost or reordered, or that the bus needs to observe itself: users may not set
/// them.
const OWN: [&str; 23] = [
    "acks",
    "auto.commit.interval.ms",
    "auto.offset.reset",
    "bootstrap.servers",
    "delivery.report.only.error",
    "delivery.timeout.ms",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "heartbeat.interval.ms",
    "message.max.bytes",
    "message.timeout.ms",
    "metadata.broker.list",
    "offset.store.method",
    "partition.assignment.strategy",
    "partitioner",
    "request.required.acks",
    "session.timeout.ms",
    "statistics.interval.ms",
    "transactional.id",
];

/// Bytes by which a dead letter, or the client's framing, may exceed the longest message, which is measured before.
const ROOM: u32 = 65_536;
/// The maximum that the client accepts.
const MOST: u32 = 1_000_000_000;

/// How a bus on Kafka is set up.
#[derive(Clone)]
#[must_use = "hand it to `KafkaBus::connect`"]
pub struct KafkaOptions {
    pub(super) topic: String,
    pub(super) create: Option<NewTopics>,
    pub(super) publish_timeout: Duration,
    pub(super) session_timeout: Duration,
    pub(super) patience: Duration,
    pub(super) largest: u32,
    tls: bool,
    /// The name and the password that a client authenticates with.
    credentials: Option<(String, String)>,
    settings: BTreeMap<String, String>,
}

/// The properties of a topic that is created.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewTopics {
    pub(super) partitions: u16,
    pub(super) replicas: u16,
}

impl KafkaOptions {
    /// A bus on the existing topic of that name.
    pub fn new(topic: impl Into<String>) -> Self {
        Self {
            topic: topic.into(),
            create: None,
            publish_timeout: Duration::from_secs(30),
            session_timeout: Duration::from_secs(45),
            patience: Duration::from_mins(5),
            largest: 1_000_000,
            tls: false,
            credentials: None,
            settings: BTreeMap::new(),
        }
    }

    /// Creates the topic if it is missing, with that many partitions and replicas and `cleanup.policy=delete`; and the
    /// topics of dead letters, with one partition, which keep letters forever whatever the brokers' defaults
    /// (`retention.ms=-1`, `retention.bytes=-1`, `cleanup.policy=delete`), and take them all (`max.message.bytes`,
    /// 65,536 above [`KafkaOptions::max_message_bytes`]). As many members of a group can work at once as there are
    /// partitions. An existing topic is not changed.
    ///
    /// Partitions that are added to a topic later break the order of streams: the number of partitions decides which of
    /// them a stream goes to, so that a message may be handled before older ones of its stream that are still in
    /// another. Stop publishing, let every group handle all that is there, and add the partitions then; the letters of a
    /// group are not affected. Better take enough at once.
    ///
    /// How long messages are kept is the brokers' default, or set with their tools: what retention deletes before a
    /// group has handled it is passed over, with the log event `eventsource.bus.kafka.deleted`.
    ///
    /// With three replicas or more, a message is confirmed when two have it (`min.insync.replicas=2`), so that no
    /// single disk has the only copy; if fewer are in sync, publications wait. With the brokers' default of 1, the leader
    /// alone confirms when the others have fallen behind: set both settings on topics that you make by hand, since under
    /// `cleanup.policy=compact` only the last message of a stream is kept.
    pub fn create(self, partitions: u16, replicas: u16) -> Self {
        Self { create: Some(NewTopics { partitions: partitions.max(1), replicas: replicas.max(1) }), ..self }
    }

    /// How long a publication is retried while the brokers are away or do not confirm it; 30 seconds by default.
    pub fn publish_timeout(self, timeout: Duration) -> Self {
        Self { publish_timeout: timeout, ..self }
    }

    /// How long a silent member of a group keeps its partitions before others get them; 45 seconds by default.
    pub fn session_timeout(self, timeout: Duration) -> Self {
        Self { session_timeout: timeout.max(Duration::from_millis(1)), ..self }
    }

    /// How long a subscription goes on trying while brokers forbid it to read the topic or to be in its group, as while
    /// permissions are changed, before it stops; 5 minutes by default. It has looked again by then, which takes some
    /// seconds however short this is. It stops at once if brokers will never take it, as with a session timeout that
    /// they do not allow.
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience: patience.min(FAR), ..self }
    }

    /// The maximum length of a message that is sent, headers included; 1,000,000 bytes by default. The topic's
    /// `max.message.bytes` and `segment.bytes` must be larger by some 200 bytes, for what the protocol adds. Messages
    /// go out together up to this length, and 1,000,000 bytes at most, unless `batch.size` is set. If `fetch.max.bytes`
    /// is set, it must be at least 65,536 more.
    pub fn max_message_bytes(self, bytes: u32) -> Self {
        Self { largest: bytes, ..self }
    }

    /// Connects over TLS, with the feature `kafka-tls`.
    pub fn tls(self) -> Self {
        Self { tls: true, ..self }
    }

    /// Authenticates with a name and a password, by SASL/PLAIN over TLS, with the feature `kafka-tls`. On a network
    /// that is trusted with the password, [`KafkaOptions::set`] `security.protocol` to `SASL_PLAINTEXT`; for another
    /// mechanism that takes a name and a password, such as `SCRAM-SHA-512`, set `sasl.mechanism`. If
    /// `security.protocol` is set to `PLAINTEXT` or `SSL`, the client does not authenticate, and name and password have
    /// no effect.
    pub fn credentials(self, name: impl Into<String>, password: impl Into<String>) -> Self {
        Self { credentials: Some((name.into(), password.into())), ..self }
    }

    /// Sets any other option of librdkafka, such as `ssl.ca.location` or `client.rack`. Those on which the guarantees
    /// of the bus depend, such as `acks`, are refused on connecting. What is set here counts, whatever
    /// [`KafkaOptions::tls`] and [`KafkaOptions::credentials`], before or after it, would have chosen.
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// The longest message that clients hand to brokers: a dead letter has more headers than its message.
    pub(super) fn longest_letter(&self) -> u32 {
        self.largest.saturating_add(ROOM).min(MOST)
    }

    /// The settings of the topic of all messages: a stream is the key, by which compaction would keep its last message
    /// alone.
    pub(super) fn of_messages(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![("cleanup.policy", "delete".into())];
        // Or the leader confirms alone when the others have fallen behind.
        if self.create.is_some_and(|create| create.replicas >= 3) {
            settings.push(("min.insync.replicas", "2".into()));
        }
        settings
    }

    /// The settings of a dead-letter topic: it takes each letter that we write, and keeps it until somebody has dealt
    /// with it. The brokers' defaults may differ.
    pub(super) fn of_letters(&self) -> Vec<(&'static str, String)> {
        let mut settings = self.of_messages();
        settings.extend([
            ("max.message.bytes", self.longest_letter().to_string()),
            ("retention.bytes", "-1".into()),
            ("retention.ms", "-1".into()),
        ]);
        settings
    }

    /// What all clients of the bus share.
    pub(super) fn client(&self, brokers: &str) -> Result<ClientConfig, BusError> {
        check_name(&self.topic)?;
        // With that prefix, librdkafka takes the settings of a topic as well.
        let is_own = |name: &&String| OWN.contains(&name.strip_prefix("topic.").unwrap_or(name));
        if let Some(name) = self.settings.keys().find(is_own) {
            let told = format!("`{name}` is set by the bus, whose promises rest on it; leave it out");
            return Err(BusError::Configuration(told.into()));
        }
        let protocol = self.protocol();
        if matches!(protocol.to_ascii_lowercase().as_str(), "ssl" | "sasl_ssl") && !TLS {
            let told = "TLS to Kafka needs the feature `kafka-tls`; add it, or set `security.protocol` to `PLAINTEXT` or \
                        `SASL_PLAINTEXT` on a trusted network";
            return Err(BusError::Configuration(told.into()));
        }
        addresses::check(brokers, protocol)?;
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("security.protocol", protocol);
        if let Some((name, password)) = &self.credentials {
            config.set("sasl.username", name).set("sasl.password", password);
            // By its other name it would be a second setting, and which of them counts would be a matter of luck.
            if !self.settings.contains_key("sasl.mechanisms") {
                config.set("sasl.mechanism", "PLAIN");
            }
        }
        for (name, value) in &self.settings {
            config.set(name, value);
        }
        // Of members too: what is published must also fit into what they receive.
        config.set("message.max.bytes", self.longest_letter().to_string());
        // For the gauges.
        config.set("statistics.interval.ms", "1000");
        Ok(config)
    }

    /// How clients speak to brokers: as set, or as what was asked for needs it.
    fn protocol(&self) -> &str {
        match (self.settings.get("security.protocol"), &self.credentials, self.tls) {
            (Some(protocol), ..) => protocol,
            (None, Some(_), _) => "SASL_SSL",
            (None, None, true) => "SSL",
            (None, None, false) => "PLAINTEXT",
        }
    }
}

/// An error of the client library. For a setting it would quote the value, which may be a password.
pub(super) fn refused(attempt: &'static str, error: KafkaError) -> BusError {
    match error {
        KafkaError::ClientConfig(_, _, name, _) => BusError::Configuration(
            format!("librdkafka refuses the setting `{name}`; see its configuration page").into(),
        ),
        // It tells which settings contradict each other, or which file is not there. Threads may be had later.
        KafkaError::ClientCreation(told) if !told.contains("thread") => {
            BusError::Configuration(format!("librdkafka makes no client of these settings: {told}").into())
        }
        error => BusError::backend(attempt, error),
    }
}

/// Names of the settings only; a value may be a password.
impl fmt::Debug for KafkaOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaOptions")
            .field("topic", &self.topic)
            .field("create", &self.create)
            .field("tls", &self.tls)
            .field("settings", &self.settings.keys())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused_of(options: &KafkaOptions) -> Option<BusError> {
        options.client("localhost:9092").err()
    }

    #[test]
    fn tls_is_never_left_out_in_silence() {
        for options in [
            KafkaOptions::new("orders").tls(),
            KafkaOptions::new("orders").set("security.protocol", "ssl"),
            KafkaOptions::new("orders").credentials("user", "sesame"),
        ] {
            assert_eq!(refused_of(&options).is_none(), TLS);
            assert!(refused_of(&options.set("security.protocol", "SASL_PLAINTEXT")).is_none());
        }
    }

    /// The last call won: TLS after credentials connected without them.
    #[test]
    fn tls_and_credentials_are_both_meant_in_any_order() {
        let plain = || KafkaOptions::new("orders");
        let tls = KafkaOptions::tls;
        let user = |options: KafkaOptions| options.credentials("user", "sesame");
        let trusted = |options: KafkaOptions| options.set("security.protocol", "SASL_PLAINTEXT");
        let asked = [plain(), tls(plain()), user(plain()), tls(user(plain())), user(tls(plain()))];
        assert_eq!(
            asked.each_ref().map(KafkaOptions::protocol),
            ["PLAINTEXT", "SSL", "SASL_SSL", "SASL_SSL", "SASL_SSL"]
        );
        for options in [trusted(tls(user(plain()))), tls(trusted(user(plain()))), user(tls(trusted(plain())))] {
            let config = options.client("localhost:9092").unwrap();
            let names = ["security.protocol", "sasl.mechanism", "sasl.username", "sasl.password"];
            let values = names.map(|name| config.get(name).unwrap());
            assert_eq!(values, ["SASL_PLAINTEXT", "PLAIN", "user", "sesame"]);
        }
    }

    #[test]
    fn another_mechanism_counts_by_each_of_its_names_in_any_order() {
        for name in ["sasl.mechanism", "sasl.mechanisms"] {
            let set = |options: KafkaOptions| options.set(name, "SCRAM-SHA-512");
            let user = |options: KafkaOptions| options.credentials("user", "sesame");
            let trusted = KafkaOptions::new("orders").set("security.protocol", "SASL_PLAINTEXT");
            for options in [set(user(trusted.clone())), user(set(trusted))] {
                let config = options.client("localhost:9092").unwrap();
                let given = ["sasl.mechanism", "sasl.mechanisms"].map(|name| config.get(name));
                assert_eq!(given.into_iter().flatten().collect::<Vec<_>>(), ["SCRAM-SHA-512"]);
            }
        }
    }

    #[test]
    fn a_password_is_in_no_debug_and_no_error() {
        let options = KafkaOptions::new("orders").credentials("user", "sesame");
        assert!(!format!("{options:?} {:?}", refused_of(&options)).contains("sesame"));
        let within = KafkaOptions::new("orders").client("one:9092, user:sesame@two:9092").unwrap_err();
        assert!(matches!(within, BusError::Configuration(_)) && !format!("{within} {within:?}").contains("sesame"));
        let options = KafkaOptions::new("orders").set("no.such.setting", "sesame");
        let error = options.client("localhost:9092").and_then(|config| {
            config.create_native_config().map(|_| ()).map_err(|error| refused("make a Kafka client", error))
        });
        let error = error.unwrap_err();
        assert!(matches!(error, BusError::Configuration(_)));
        assert!(!format!("{error} {error:?}").contains("sesame"), "{error:?}");
    }

    #[test]
    fn what_the_promises_rest_on_cannot_be_set() {
        let others = ["metadata.broker.list", "delivery.report.only.error", "auto.commit.interval.ms"];
        for name in OWN.into_iter().chain(others) {
            // librdkafka removes the prefix, and which of two settings counted was a matter of luck.
            for name in [name, &format!("topic.{name}")] {
                assert!(refused_of(&KafkaOptions::new("orders").set(name, "1")).is_some(), "{name}");
            }
        }
        assert!(refused_of(&KafkaOptions::new("orders").set("topic.metadata.refresh.sparse", "true")).is_none());
    }

    /// A letter that is too long for its topic is lost, and so is one that brokers delete or compact.
    #[test]
    fn a_topic_of_dead_letters_takes_what_is_written_and_keeps_it() {
        let settings = KafkaOptions::new("orders").max_message_bytes(5_000_000).of_letters();
        let settings: BTreeMap<_, _> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let longest: u32 = settings["max.message.bytes"].parse().unwrap();
        assert_eq!(longest, 5_065_536, "the longest message and its headers as a letter");
        let keeping = ["cleanup.policy", "retention.bytes", "retention.ms"];
        assert_eq!(keeping.map(|name| settings[name]), ["delete", "-1", "-1"]);
    }

    /// By the brokers' default one of three replicas confirmed, and died with what the others had not.
    #[test]
    fn what_is_confirmed_is_on_two_disks_where_there_are_three() {
        let of = |replicas| KafkaOptions::new("orders").create(1, replicas);
        let in_sync = ("min.insync.replicas", "2".to_owned());
        let kept = ("cleanup.policy", "delete".to_owned());
        for replicas in 1..=4 {
            for settings in [of(replicas).of_messages(), of(replicas).of_letters()] {
                assert_eq!(settings.contains(&in_sync), replicas >= 3, "{replicas}");
                assert!(settings.contains(&kept), "{replicas}");
            }
        }
    }
}
