//! What the client library reports: whether brokers can be reached, which partitions come and go, how far groups are
//! behind.

use std::collections::HashMap;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaRespErr;

use super::options;
use super::partitions::Share;
use crate::bus::brokers::Members;
use crate::bus::error::BusError;
use crate::sync::Mutex;
use crate::telemetry::log;

/// How often the same error is reported.
const TELLING: Duration = Duration::from_mins(1);

/// The health of a bus's clients.
#[derive(Default)]
pub(super) struct State {
    lost: AtomicBool,
    /// A broker's certificate was refused, or it speaks no TLS, and none is connected since.
    untrusted: AtomicBool,
    /// When each failure was last reported.
    told: Mutex<HashMap<String, Instant>>,
    pub(super) members: Members<Share>,
}

impl State {
    /// Whether any broker can be reached: the client tells only when none can.
    pub(super) fn is_connected(&self) -> bool {
        !self.lost.load(Ordering::Relaxed)
    }

    /// Why a query to the brokers failed: of their certificates, the client only reports a timeout.
    pub(super) fn refused(&self, attempt: &'static str, error: KafkaError) -> BusError {
        if !self.untrusted.load(Ordering::Relaxed) {
            return options::refused(attempt, error);
        }
        let attempt = "trust the certificate of Kafka; name the file of its authority with \
                       `KafkaOptions::set(\"ssl.ca.location\", ..)`, and write the host that it is for";
        BusError::backend(attempt, error)
    }

    /// A broker has answered.
    pub(super) fn answered(&self) {
        // Nearly always only a load.
        if self.lost.load(Ordering::Relaxed) && self.lost.swap(false, Ordering::Relaxed) {
            log::kafka::connected();
        }
    }

    /// Something failed that the clients retry; reported once in a while. Only by its code: the text may hold an
    /// address or a name.
    pub(super) fn failed(&self, code: RDKafkaErrorCode) {
        let code = format!("{code:?}");
        if self.is_due(code.clone()) {
            log::kafka::failed(&code);
        }
    }

    /// Brokers refused to commit how far a group is; reported as [`State::failed`] is.
    pub(super) fn commit_failed(&self, group: &str, code: RDKafkaErrorCode) {
        // There may be nothing to commit, and a group that forms takes commits when it has.
        if matches!(code, RDKafkaErrorCode::NoOffset | RDKafkaErrorCode::RebalanceInProgress) {
            return;
        }
        let code = format!("{code:?}");
        if self.is_due(format!("{group} {code}")) {
            log::kafka::commit_failed(group, &code);
        }
    }

    /// A producer was cut, for one publication that failed; reported as [`State::failed`] is.
    pub(super) fn cut(&self) {
        if self.is_due("cut".into()) {
            log::kafka::cut();
        }
    }

    /// Whether something is to be reported that may go on for long.
    fn is_due(&self, what: String) -> bool {
        let now = Instant::now();
        let mut told = self.told.lock();
        let is_due = told.get(&what).is_none_or(|last| now.duration_since(*last) >= TELLING);
        if is_due {
            told.insert(what, now);
        }
        is_due
    }

    /// As [`State::failed`], if the error has a code.
    pub(super) fn failed_at(&self, error: &KafkaError) {
        if let Some(code) = error.rdkafka_error_code() {
            self.failed(code);
        }
    }
}

/// The context of one client; of a member if it has a share.
pub(super) struct Context {
    pub(super) state: Arc<State>,
    pub(super) share: Option<Arc<Share>>,
}

impl ClientContext for Context {
    fn stats(&self, statistics: Statistics) {
        if statistics.brokers.values().any(|broker| broker.state == "UP") {
            self.state.untrusted.store(false, Ordering::Relaxed);
            self.state.answered();
        }
        if let Some(share) = &self.share {
            share.observe_group(statistics.cgrp.as_ref());
            if let Some(topic) = statistics.topics.get(&*share.topic) {
                share.observe(&topic.partitions);
            }
        }
    }

    fn error(&self, error: KafkaError, _: &str) {
        let Some(code) = error.rdkafka_error_code() else { return };
        if code == RDKafkaErrorCode::SSL {
            self.state.untrusted.store(true, Ordering::Relaxed);
        }
        if code != RDKafkaErrorCode::AllBrokersDown {
            self.state.failed(code);
        } else if !self.state.lost.swap(true, Ordering::Relaxed) {
            log::kafka::disconnected();
        }
    }
}

impl ConsumerContext for Context {
    /// Called by whoever polls the client. What is revoked while messages of it are in flight is given back later, when
    /// they are done: nobody else begins with the next ones before.
    fn rebalance(&self, client: &BaseConsumer<Self>, what: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let numbers: Vec<_> = partitions.elements().iter().map(TopicPartitionListElem::partition).collect();
        let is_ours = what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let Some(share) = &self.share else { return };
        let waits = if is_ours {
            share.assigned(numbers);
            false
        } else {
            share.revoked(numbers, client.assignment_lost())
        };
        let result = match client.rebalance_protocol() {
            _ if waits => Ok(()),
            RebalanceProtocol::Cooperative if is_ours => client.incremental_assign(partitions),
            RebalanceProtocol::Cooperative => client.incremental_unassign(partitions),
            _ if is_ours => client.assign(partitions),
            _ => client.unassign(),
        };
        if let Err(error) = result {
            self.state.failed_at(&error);
        } else if is_ours {
            // The client remembers that a lost partition was paused, and would never fetch it again. A member without
            // room pauses it anew.
            let _ = client.resume(partitions);
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        let Some(share) = &self.share else { return };
        let mut results = iter::once(result).chain(offsets.elements().into_iter().map(|each| each.error()));
        if let Some(code) = results.find_map(|result| result.err()?.rdkafka_error_code()) {
            self.state.commit_failed(&share.group, code);
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::statistics::Broker;

    use super::*;

    /// Whatever failed later was put down to the certificate.
    #[test]
    fn a_certificate_is_to_blame_until_a_broker_is_connected() {
        let context = Context { state: Arc::default(), share: None };
        let is_to_blame =
            || context.state.refused("make a topic", KafkaError::Canceled).to_string().contains("certificate");
        context.error(KafkaError::Global(RDKafkaErrorCode::SSL), "");
        let told = |state: &str| {
            let broker = Broker { state: state.to_owned(), ..Broker::default() };
            context.stats(Statistics { brokers: HashMap::from([("one".into(), broker)]), ..Statistics::default() });
        };
        told("CONNECT");
        assert!(is_to_blame());
        told("UP");
        assert!(!is_to_blame());
    }
}
