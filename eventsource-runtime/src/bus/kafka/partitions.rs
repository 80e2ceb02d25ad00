//! The partitions that a member of a group has.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaResult;
use rdkafka::statistics::{ConsumerGroup, Partition};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::assignment::Assignment;
use super::client::Client;
use super::retention::{self, Unseen};
use crate::sync::Mutex;

/// How long in-flight messages may delay that their partition goes to another member. The group stands still meanwhile.
const GIVING_BACK: Duration = Duration::from_secs(10);
/// How long brokers may take to report where partitions end.
const ASKING: Duration = Duration::from_secs(1);
/// How soon brokers that did not tell what was deleted are asked again.
const AGAIN: Duration = Duration::from_secs(5);

/// The partitions that a member has of its topic.
pub(super) struct Share {
    pub(super) group: Arc<str>,
    pub(super) topic: Arc<str>,
    inside: Mutex<Inside>,
    /// Something is to be given back, or to be looked at.
    pub(super) changed: Notify,
    /// Nobody waits any more for what is in flight.
    leaving: AtomicBool,
    /// Whether the group has taken this member.
    is_member: AtomicBool,
    /// Whether brokers have told, since a permission was last missing, that the topic may be read.
    is_permitted: AtomicBool,
}

#[derive(Default)]
struct Inside {
    held: BTreeMap<i32, Arc<Assignment>>,
    unseen: Vec<Unseen>,
    returning: Option<Returning>,
    /// Where partitions ended when brokers were asked.
    ends: BTreeMap<i32, i64>,
    lags: BTreeMap<i32, u64>,
}

impl Inside {
    /// A partition that was to be given back was lost before. It may be assigned anew, and must not be given back then.
    fn gone(&mut self, partition: i32) {
        for assignment in self.returning.iter().flat_map(|returning| &returning.assignments) {
            if assignment.partition == partition {
                assignment.end();
            }
        }
        self.keep_returning();
    }

    /// Forgets those that have ended.
    fn keep_returning(&mut self) {
        if let Some(returning) = &mut self.returning {
            returning.assignments.retain(|assignment| !assignment.is_over());
        }
        self.returning.take_if(|returning| returning.assignments.is_empty());
    }
}

/// Partitions that go to other members as soon as nothing of them is in flight.
#[derive(Clone)]
pub(super) struct Returning {
    assignments: Vec<Arc<Assignment>>,
    pub(super) until: Instant,
}

impl Returning {
    /// Waits until nothing is in flight.
    pub(super) async fn quiet(&self) {
        for assignment in &self.assignments {
            assignment.quiet().await;
        }
    }

    /// Ends them for good: what is done from now on is another member's. Those that were lost meanwhile have gone
    /// already, and the same partition may be ours again.
    pub(super) fn end(&self, topic: &str) -> TopicPartitionList {
        let mut partitions = TopicPartitionList::new();
        for assignment in &self.assignments {
            if assignment.end() {
                partitions.add_partition(topic, assignment.partition);
            }
        }
        partitions
    }
}

impl Share {
    pub(super) fn new(group: Arc<str>, topic: Arc<str>) -> Self {
        let inside = Mutex::default();
        let changed = Notify::new();
        let (leaving, is_member, is_permitted) = Default::default();
        Self { group, topic, inside, changed, leaving, is_member, is_permitted }
    }

    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// What the client's statistics tell of the member.
    pub(super) fn observe_group(&self, known: Option<&ConsumerGroup>) {
        let is_member = known.is_some_and(|group| group.state == "up" && group.join_state == "steady");
        self.is_member.store(is_member, Ordering::Relaxed);
    }

    /// A permission is missing: whether the group has this member is only known when the client tells it again.
    pub(super) fn refused(&self) {
        self.is_member.store(false, Ordering::Relaxed);
        self.is_permitted.store(false, Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// Brokers tell that the topic may be read.
    pub(super) fn permitted(&self) {
        self.is_permitted.store(true, Ordering::Relaxed);
        self.changed.notify_one();
    }

    pub(super) fn is_permitted(&self) -> bool {
        self.is_permitted.load(Ordering::Relaxed)
    }

    pub(super) fn is_member(&self) -> bool {
        self.is_member.load(Ordering::Relaxed)
    }

    /// Partitions were assigned to this member.
    pub(super) fn assigned(&self, partitions: impl IntoIterator<Item = i32>) {
        let mut inside = self.inside.lock();
        for partition in partitions {
            inside.gone(partition);
            let assignment = Arc::new(Assignment::new(partition));
            inside.unseen.push(Unseen::new(Arc::clone(&assignment)));
            inside.held.insert(partition, assignment);
        }
        self.changed.notify_one();
    }

    /// Partitions are to go to other members: nothing of them is begun any more. False if they can go at once.
    pub(super) fn revoked(&self, partitions: impl IntoIterator<Item = i32>, is_lost: bool) -> bool {
        let mut inside = self.inside.lock();
        let mut assignments = Vec::new();
        for partition in partitions {
            inside.lags.remove(&partition);
            inside.ends.remove(&partition);
            if is_lost {
                inside.gone(partition);
            }
            assignments.extend(inside.held.remove(&partition));
        }
        let waits = !is_lost && !self.leaving.load(Ordering::Relaxed);
        let mut is_busy = false;
        for assignment in &assignments {
            if waits {
                assignment.revoke();
            } else {
                assignment.end();
            }
            is_busy |= assignment.is_busy();
        }
        let waits = waits && is_busy;
        if waits {
            let until = Instant::now() + GIVING_BACK;
            inside
                .returning
                .get_or_insert(Returning { assignments: Vec::new(), until })
                .assignments
                .extend(assignments);
            self.changed.notify_one();
        }
        waits
    }

    /// Those of which it is time to look what was deleted, and when it is time for others.
    pub(super) fn unseen(&self) -> (Vec<Unseen>, Option<Instant>) {
        let mut inside = self.inside.lock();
        if inside.unseen.is_empty() {
            return (Vec::new(), None);
        }
        let now = Instant::now();
        inside.unseen.retain(|unseen| !unseen.assignment.is_ending());
        let due = inside.unseen.extract_if(.., |unseen| unseen.due <= now).collect();
        (due, inside.unseen.iter().map(|unseen| unseen.due).min())
    }

    /// Brokers did not tell enough of some.
    pub(super) fn look_later(&self, unseen: Vec<Unseen>) {
        if unseen.is_empty() {
            return;
        }
        let due = Instant::now() + AGAIN;
        self.inside.lock().unseen.extend(unseen.into_iter().map(|unseen| Unseen { due, ..unseen }));
        self.changed.notify_one();
    }

    /// What is to be given back.
    pub(super) fn returning(&self) -> Option<Returning> {
        self.inside.lock().returning.clone()
    }

    /// Those that have ended were given back.
    pub(super) fn returned(&self) {
        self.inside.lock().keep_returning();
    }

    /// The assignment of a partition, if it is ours.
    pub(super) fn assignment(&self, partition: i32) -> Option<Arc<Assignment>> {
        self.inside.lock().held.get(&partition).cloned()
    }

    /// Asks brokers where the partitions end.
    pub(super) fn ask(&self, client: &Client) -> KafkaResult<()> {
        let mut asked = TopicPartitionList::new();
        for partition in self.inside.lock().held.keys() {
            asked.add_partition_offset(&self.topic, *partition, Offset::End)?;
        }
        // At the end of time.
        let told = client.offsets_for_times(asked, ASKING)?;
        let ends = told.elements().into_iter().filter_map(|end| Some((end.partition(), end.offset().to_raw()?)));
        self.inside.lock().ends = ends.collect();
        Ok(())
    }

    /// Takes from the client's statistics how far the group is behind what it has committed, which is where another
    /// member would begin. Before the first commit that is where the partition begins.
    pub(super) fn observe(&self, known: &HashMap<i32, Partition>) {
        let mut inside = self.inside.lock();
        let missing = inside.held.iter().filter_map(|(partition, assignment)| {
            Some((*partition, assignment.missing(known.get(partition)?.lo_offset)))
        });
        let missing: Vec<_> = missing.collect();
        let lags = inside.held.iter().filter_map(|(partition, assignment)| {
            let known = known.get(partition)?;
            let at =
                Some(known.committed_offset.max(known.lo_offset)).filter(|at| *at >= 0).or(assignment.position())?;
            let end = if known.ls_offset >= 0 { known.ls_offset } else { known.hi_offset };
            let end = inside.ends.get(partition).map_or(end, |asked| end.max(*asked));
            Some((*partition, u64::try_from(end.checked_sub(at)?).unwrap_or_default()))
        });
        inside.lags = lags.collect();
        drop(inside);
        for (partition, messages) in missing {
            retention::tell(self, partition, messages);
        }
    }

    pub(super) fn lags(&self) -> BTreeMap<i32, u64> {
        self.inside.lock().lags.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::error::BusError;

    fn share() -> Share {
        let share = Share::new("inventory".into(), "orders".into());
        share.assigned([0, 1]);
        share
    }

    #[test]
    fn what_is_revoked_is_not_begun_and_given_back_when_nothing_is_under_way() {
        let share = share();
        let assignment = share.assignment(0).unwrap();
        assignment.take(7);
        assert!(share.revoked([0], false), "one message is under way");
        assert!(assignment.is_ending() && share.assignment(0).is_none());
        assert!(!share.assignment(1).unwrap().is_ending());
        let mut stored = None;
        let store = |offset| {
            stored = Some(offset);
            Ok(())
        };
        assignment.done([7], store).unwrap();
        assert_eq!(stored, Some(7), "it may come to its end");
        let returning = share.returning().unwrap();
        assert_eq!(returning.end("orders").count(), 1);
        assert!(matches!(assignment.done([7], |_| Ok(())), Err(BusError::Lost)));
        share.returned();
        assert!(share.returning().is_none());
    }

    #[test]
    fn what_is_lost_before_it_is_given_back_is_not_given_back_when_it_has_come_again() {
        let share = share();
        share.assignment(0).unwrap().take(7);
        assert!(share.revoked([0], false));
        let returning = share.returning().unwrap();
        assert!(!share.revoked([0, 1], true), "lost");
        share.assigned([0]);
        assert!(share.returning().is_none());
        assert_eq!(returning.end("orders").count(), 0);
        assert!(!share.assignment(0).unwrap().is_ending());
    }

    #[test]
    fn what_is_revoked_later_is_given_back_as_well() {
        let share = share();
        share.assignment(0).unwrap().take(7);
        share.assignment(1).unwrap().take(7);
        assert!(share.revoked([0], false));
        let first = share.returning().unwrap();
        assert!(share.revoked([1], false));
        assert_eq!(first.end("orders").count(), 1);
        share.returned();
        assert_eq!(share.returning().unwrap().end("orders").count(), 1);
        share.returned();
        assert!(share.returning().is_none());
    }

    #[test]
    fn nobody_waits_for_what_is_idle_lost_or_left() {
        assert!(!share().revoked([0, 1], false), "idle");
        let lost = share();
        lost.assignment(0).unwrap().take(1);
        assert!(!lost.revoked([0], true), "lost");
        let left = share();
        let assignment = left.assignment(0).unwrap();
        assignment.take(1);
        left.leave();
        assert!(!left.revoked([0], false), "left");
        assert!(matches!(assignment.done([1], |_| Ok(())), Err(BusError::Lost)));
    }
}
