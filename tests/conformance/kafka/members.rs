//! Members of a group that come and go, on brokers of two kinds.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use eventsource_runtime::bus::{EventBus as _, HandlerError, KafkaBus, Received, Subscription};
use eventsource_runtime::store::StreamId;
use eventsource_runtime::testing;
use eventsource_tests::services;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::groups::streams;
use super::{in_time, message, open, options, ordinal, played};

/// What the members of a group did, all told.
#[derive(Default)]
struct Log {
    /// Streams of which a message is being handled.
    busy: HashSet<StreamId>,
    /// The ordinals of each stream as they were handled, and how many different messages there were.
    handled: BTreeMap<String, Vec<usize>>,
    different: HashSet<(String, usize)>,
    /// Those that have handled anything.
    members: HashSet<usize>,
    faults: Vec<String>,
}

/// Members of a group that come and go, and what is published meanwhile.
struct Crowd {
    bus: KafkaBus,
    streams: Vec<StreamId>,
    log: Arc<Mutex<Log>>,
    members: VecDeque<Subscription>,
    joined: usize,
    published: usize,
    /// Asks the broker about the group, where that must have formed before it changes again.
    admin: Option<Arc<BaseConsumer>>,
}

impl Crowd {
    fn new(bus: KafkaBus) -> Self {
        // So many that each partition has some.
        let streams = streams(40);
        let (log, members) = (Arc::default(), VecDeque::new());
        Self { bus, streams, log, members, joined: 0, published: 0, admin: None }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap()
    }

    /// A member joins, which looks whether another one has the same stream at the same time. It has joined when it has
    /// handled something.
    async fn join(&mut self) {
        let (log, member) = (Arc::clone(&self.log), self.joined);
        let handler = move |received: Received| {
            let log = Arc::clone(&log);
            async move {
                let stream = received.stream().cloned().ok_or(HandlerError::new("it has a stream"))?;
                if !log.lock().unwrap().busy.insert(stream.clone()) {
                    log.lock().unwrap().faults.push(format!("{stream} is handled by two"));
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
                let mut log = log.lock().unwrap();
                log.members.insert(member);
                log.busy.remove(&stream);
                let (stream, ordinal) = (stream.to_string(), ordinal(&received));
                log.different.insert((stream.clone(), ordinal));
                log.handled.entry(stream).or_default().push(ordinal);
                Ok(())
            }
        };
        self.members.push_back(in_time(self.bus.subscribe("one").lanes(4).handle(handler)).await.unwrap());
        self.joined += 1;
        in_time(async {
            while !self.log().members.contains(&member) {
                self.publish().await;
            }
        })
        .await;
    }

    /// The one that is there for the longest time leaves, in the middle of its work.
    async fn leave(&mut self) {
        for _ in 0..10 {
            self.publish().await;
        }
        self.members.pop_front().unwrap().shutdown().await.unwrap();
    }

    async fn publish(&mut self) {
        let messages = self.streams.iter().map(|stream| message(stream, self.published));
        self.bus.publish_all(messages).await.unwrap();
        self.published += 1;
        // No faster than they handle it: what is looked at is who has a message, not how far they are behind.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    /// The broker of the tests takes no change of a group that forms: if the leader goes then, that broker waits for
    /// its assignment for ever, and gives none to anybody.
    async fn formed(&self) {
        let Some(admin) = &self.admin else { return };
        let group = format!("{}.one", self.bus.inner().info().destination);
        let members = self.members.len();
        in_time(async {
            loop {
                let (admin, group) = (Arc::clone(admin), group.clone());
                let asked = tokio::task::spawn_blocking(move || {
                    let found = admin.fetch_group_list(Some(&group), Duration::from_secs(10)).unwrap();
                    found.groups().iter().any(|group| group.state() == "Stable" && group.members().len() == members)
                });
                if asked.await.unwrap() || members == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    }

    async fn all_handled(&self) {
        let all = self.published * self.streams.len();
        in_time(async {
            while self.log().different.len() < all {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

/// Members join and leave while messages are published: each message is handled, those of a stream in order, and no
/// stream is in two members' hands at once.
async fn come_and_go(mut crowd: Crowd, rebalances: usize) {
    crowd.join().await;
    for rebalance in 0..rebalances {
        if rebalance % 3 == 2 || crowd.members.len() == 3 {
            crowd.leave().await;
        } else {
            crowd.join().await;
        }
        crowd.all_handled().await;
        crowd.formed().await;
    }
    while !crowd.members.is_empty() {
        crowd.leave().await;
        crowd.formed().await;
    }
    let log = crowd.log();
    assert!(log.faults.is_empty(), "{:?}", log.faults);
    let mut doubled = 0;
    for ordinals in log.handled.values() {
        let mut known = HashSet::new();
        let first_seen: Vec<_> = ordinals.iter().copied().filter(|ordinal| known.insert(*ordinal)).collect();
        assert!(first_seen.is_sorted(), "{first_seen:?}");
        doubled += ordinals.len() - first_seen.len();
    }
    println!(
        "{rebalances} rebalances, {} messages, lost 0, handled twice {doubled}",
        crowd.published * crowd.streams.len()
    );
}

fn rebalances() -> usize {
    services::repeats("EVENTSOURCE_TESTS_REBALANCES", 6)
}

#[test]
fn members_that_come_and_go_lose_nothing_and_keep_the_order() {
    testing::run(async {
        let mut crowd = Crowd::new(open(options(4)).await);
        let admin = ClientConfig::new().set("bootstrap.servers", services::kafka()).create().unwrap();
        crowd.admin = Some(Arc::new(admin));
        come_and_go(crowd, rebalances()).await;
    });
}

/// On the brokers that librdkafka plays, which take a change at any time.
#[test]
fn members_that_come_and_go_before_their_group_has_formed_lose_nothing_and_keep_the_order() {
    testing::run(async {
        let (_cluster, bus) = played(4).await;
        come_and_go(Crowd::new(bus), rebalances()).await;
    });
}
