//! The outcomes of publications over a channel.
//!
//! The broker returns what no queue takes, and then acknowledges it. The client library does not know to which
//! publication a returned message belongs: it reports it with any acknowledgement, one after the other, though not
//! before the broker has returned it. Here each is identified by its content, and no acknowledgement counts before all
//! that was returned ahead of it is known.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::{mpsc, oneshot};

use super::fate::Fate;
use super::link::Link;

/// How long a broker may confirm nothing of what it has before the connection is given up, and what was not confirmed is
/// published over another one. One that is merely slow would only get more to do.
const ATTEMPT: Duration = Duration::from_secs(10);
/// How long a single confirmation may take in any case.
const LONGEST: Duration = Duration::from_mins(1);

/// A message for the broker.
#[derive(Clone)]
pub(super) struct Publication {
    pub(super) exchange: ShortString,
    pub(super) key: ShortString,
    pub(super) properties: BasicProperties,
    pub(super) payload: Bytes,
}

/// A channel on which the broker confirms. A task of its own publishes, so that a publication that nobody awaits any
/// more is still accounted for.
#[derive(Clone)]
pub(super) struct Confirming {
    pub(super) channel: Channel,
    requests: mpsc::UnboundedSender<(Publication, oneshot::Sender<Fate>)>,
}

impl Confirming {
    /// Over a channel of the connection that is in confirm mode, and on which nobody else publishes.
    pub(super) fn over(channel: Channel, link: Arc<Link>) -> Self {
        let (requests, taken) = mpsc::unbounded_channel();
        tokio::spawn(publish(channel.clone(), link, taken));
        Self { channel, requests }
    }

    pub(super) fn is_open(&self) -> bool {
        self.channel.status().connected() && !self.requests.is_closed()
    }

    pub(super) async fn publish(&self, publication: Publication) -> Fate {
        let (tell, told) = oneshot::channel();
        // If it is not taken, it is dropped.
        let _ = self.requests.send((publication, tell));
        told.await.unwrap_or(Fate::Unknown)
    }
}

type Publishing = Pin<Box<dyn Future<Output = Told> + Send>>;

enum Told {
    Answer(u64, Box<lapin::Result<Confirmation>>),
    /// All answers were seen that were there when this was requested.
    Swept,
}

/// Publishes what is requested until nobody can request any more: then the channel has been given up. The same happens,
/// to its connection too, if a publication stays unconfirmed, whether or not anybody still waits for it.
async fn publish(
    channel: Channel,
    link: Arc<Link>,
    mut requests: mpsc::UnboundedReceiver<(Publication, oneshot::Sender<Fate>)>,
) {
    let (mut publishing, mut ledger) = (FuturesUnordered::new(), Ledger::default());
    let mut look = pin!(tokio::time::sleep(ATTEMPT));
    let overdue = poll_fn(|task| {
        while let Poll::Ready(request) = requests.poll_recv(task) {
            let Some((publication, tell)) = request else { return Poll::Ready(None) };
            let number = ledger.sent(Identity::of(&publication), tell);
            publishing.push(begun(channel.clone(), publication, number, task));
        }
        while let Poll::Ready(Some(told)) = publishing.poll_next_unpin(task) {
            match told {
                Told::Answer(number, answer) => ledger.answered(number, *answer),
                Told::Swept => ledger.swept(publishing.is_empty()),
            }
            if ledger.sweeps() {
                // Futures are polled in the order in which they were woken: those with an earlier answer come before
                // this one.
                publishing.push(Box::pin(ready(Told::Swept)));
            }
        }
        while look.as_mut().poll(task).is_ready() {
            let now = Instant::now();
            let first = ledger.silent_since().unwrap_or(now);
            let left = ATTEMPT.saturating_sub(now - link.now().goes_on_since(first));
            // While the broker blocks the connection, what was sent is with it, or waits until it takes messages again.
            if left.is_zero() && !link.now().is_blocked_since(first) {
                return Poll::Ready(Some(first));
            }
            let left = if left.is_zero() { ATTEMPT } else { left };
            look.as_mut().reset(tokio::time::Instant::now() + left);
        }
        Poll::Pending
    });
    if let Some(first) = overdue.await {
        link.abandon(first).await;
    }
}

/// A publication that was polled once, so that the client has given it its place before the next one.
fn begun(channel: Channel, publication: Publication, number: u64, task: &mut Context<'_>) -> Publishing {
    let mut publishing: Publishing = Box::pin(async move {
        let Publication { exchange, key, properties, payload } = publication;
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let answer = async { channel.basic_publish(exchange, key, options, &payload, properties).await?.await };
        Told::Answer(number, Box::new(answer.await))
    });
    match publishing.as_mut().poll(task) {
        Poll::Ready(told) => Box::pin(ready(told)),
        Poll::Pending => publishing,
    }
}

/// What identifies a returned message. Two with the same identity are routed the same way.
#[derive(Clone, Debug, PartialEq)]
struct Identity {
    exchange: ShortString,
    key: ShortString,
    id: Option<ShortString>,
}

impl Identity {
    fn of(publication: &Publication) -> Self {
        let Publication { exchange, key, properties, .. } = publication;
        Self { exchange: exchange.clone(), key: key.clone(), id: properties.message_id().clone() }
    }
}

/// The publications without an outcome yet, by their number.
#[derive(Default)]
struct Ledger {
    last: u64,
    open: BTreeMap<u64, Open>,
    answered: Vec<Answered>,
    /// When the last answer came.
    heard: Option<Instant>,
    /// Counts the sweeps that were requested.
    sweep: u64,
    is_sweeping: bool,
    /// What is known, and what was known before the sweep.
    known: Known,
    known_before: Known,
}

#[derive(Clone, Copy, Default)]
struct Known {
    /// In which sweep the client last had no returned message left.
    had_none: Option<u64>,
    /// The last one that was returned.
    back: u64,
}

struct Open {
    sent: Instant,
    identity: Identity,
    came_back: bool,
    tell: oneshot::Sender<Fate>,
}

/// An acknowledgement that was seen.
struct Answered {
    number: u64,
    is_refusal: bool,
    /// The client reported no returned message with it: by then it had reported all.
    has_none: bool,
    sweep: u64,
}

impl Ledger {
    fn sent(&mut self, identity: Identity, tell: oneshot::Sender<Fate>) -> u64 {
        self.last += 1;
        self.open.insert(self.last, Open { sent: Instant::now(), identity, came_back: false, tell });
        self.last
    }

    /// Since when the broker has said nothing, with something in flight; as if it never had once the oldest is overdue.
    fn silent_since(&self) -> Option<Instant> {
        let (_, Open { sent, .. }) = self.open.first_key_value()?;
        let overdue = self.heard.is_some_and(|heard| heard.saturating_duration_since(*sent) >= LONGEST);
        Some(self.heard.filter(|heard| heard > sent && !overdue).unwrap_or(*sent))
    }

    fn answered(&mut self, number: u64, answer: lapin::Result<Confirmation>) {
        let (is_refusal, back) = match answer {
            Ok(Confirmation::Ack(back)) => (false, back),
            Ok(Confirmation::Nack(back)) => (true, back),
            Ok(Confirmation::NotRequested) => return self.tell(number, Fate::Unknown),
            Err(error) => return self.tell(number, Fate::of(&error)),
        };
        let back = back.map(|message| {
            let of = message.delivery;
            Identity { exchange: of.exchange, key: of.routing_key, id: of.properties.message_id().clone() }
        });
        self.acknowledged(number, is_refusal, back);
    }

    fn acknowledged(&mut self, number: u64, is_refusal: bool, back: Option<Identity>) {
        self.heard = Some(Instant::now());
        let has_none = back.is_none();
        match back {
            Some(identity) => self.came_back(&identity),
            None => self.known.had_none = Some(self.sweep),
        }
        self.answered.push(Answered { number, is_refusal, has_none, sweep: self.sweep });
    }

    fn came_back(&mut self, identity: &Identity) {
        let is_it = |open: &Open| !open.came_back && open.identity == *identity;
        if let Some((number, open)) = self.open.iter_mut().find(|(_, open)| is_it(open)) {
            open.came_back = true;
            self.known.back = self.known.back.max(*number);
        }
    }

    /// Whether to begin a sweep: there are answers without one.
    fn sweeps(&mut self) -> bool {
        let begins = !self.is_sweeping && self.answered.last().is_some_and(|last| last.sweep == self.sweep);
        if begins {
            self.is_sweeping = true;
            self.sweep += 1;
            self.known_before = self.known;
        }
        begins
    }

    /// Reports what is certain: all answers are seen that came before those from before the sweep. `is_all` if no more
    /// will come.
    fn swept(&mut self, is_all: bool) {
        self.is_sweeping = false;
        for answered in std::mem::take(&mut self.answered) {
            let came_back = self.open.get(&answered.number).is_some_and(|open| open.came_back);
            if !came_back && !is_all && !self.is_certain(&answered) {
                self.answered.push(answered);
                continue;
            }
            let otherwise = if answered.is_refusal { Fate::Refused } else { Fate::Confirmed };
            self.tell(answered.number, if came_back { Fate::CameBack } else { otherwise });
        }
    }

    /// Whether it would be known by now if the publication had been returned. Returned messages are reported in order:
    /// when a later one was, so were all earlier ones, and when none was left, all were.
    fn is_certain(&self, answered: &Answered) -> bool {
        let is_swept = answered.sweep < self.sweep;
        let Known { had_none, back } = self.known_before;
        let none_later = had_none.is_some_and(|sweep| sweep >= answered.sweep + 2);
        is_swept && (answered.has_none || answered.number <= back || none_later)
    }

    fn tell(&mut self, number: u64, fate: Fate) {
        if let Some(open) = self.open.remove(&number) {
            // The requester may have gone.
            let _ = open.tell.send(fate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sent {
        number: u64,
        identity: Identity,
        told: oneshot::Receiver<Fate>,
    }

    /// So many publications with ids of their own.
    fn sent<const N: usize>(ledger: &mut Ledger) -> [Sent; N] {
        std::array::from_fn(|at| {
            let identity = Identity { exchange: "orders".into(), key: "Order".into(), id: Some(at.to_string().into()) };
            let (tell, told) = oneshot::channel();
            Sent { number: ledger.sent(identity.clone(), tell), identity, told }
        })
    }

    fn fates<const N: usize>(sent: &mut [Sent; N]) -> [Option<Fate>; N] {
        std::array::from_fn(|at| sent[at].told.try_recv().ok())
    }

    fn sweep(ledger: &mut Ledger, is_all: bool) {
        assert!(ledger.sweeps());
        ledger.swept(is_all);
    }

    /// The client hands it to the first that is acknowledged.
    #[test]
    fn what_came_back_is_told_to_the_one_that_it_was() {
        let mut ledger = Ledger::default();
        let mut all = sent::<3>(&mut ledger);
        ledger.acknowledged(all[2].number, false, Some(all[1].identity.clone()));
        ledger.acknowledged(all[1].number, false, None);
        ledger.acknowledged(all[0].number, false, None);
        assert_eq!(fates(&mut all), [None; 3], "an earlier answer may not have been seen");
        sweep(&mut ledger, true);
        assert_eq!(fates(&mut all), [Some(Fate::Confirmed), Some(Fate::CameBack), Some(Fate::Confirmed)]);
        assert!(ledger.open.is_empty() && ledger.answered.is_empty());
    }

    /// A broker that is slow, and not silent, got everything once more.
    #[test]
    fn while_a_broker_answers_it_is_not_silent_unless_one_is_overdue() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.silent_since(), None, "nothing is in flight");
        let all = sent::<3>(&mut ledger);
        let first = ledger.open[&all[0].number].sent;
        assert_eq!(ledger.silent_since(), Some(first));
        ledger.answered(all[1].number, Ok(Confirmation::Ack(None)));
        assert_eq!(ledger.silent_since(), ledger.heard);
        assert!(ledger.heard >= Some(first));
        ledger.heard = Some(first + LONGEST);
        assert_eq!(ledger.silent_since(), Some(first));
    }

    /// Its returned message may be reported with an answer that came earlier and was not seen yet.
    #[test]
    fn an_answer_counts_when_those_before_it_are_seen() {
        let mut ledger = Ledger::default();
        let mut all = sent::<3>(&mut ledger);
        ledger.acknowledged(all[1].number, false, None);
        assert!(ledger.sweeps());
        ledger.acknowledged(all[0].number, false, Some(all[1].identity.clone()));
        ledger.swept(false);
        // The first is known too, since returned messages are reported in order, but it is too soon for that.
        assert_eq!(fates(&mut all), [None, Some(Fate::CameBack), None]);
        sweep(&mut ledger, false);
        assert_eq!(fates(&mut all)[0], Some(Fate::Confirmed));
    }

    #[test]
    fn one_that_was_told_of_an_earlier_one_waits_until_its_own_would_be_told() {
        let mut ledger = Ledger::default();
        let mut all = sent::<4>(&mut ledger);
        ledger.acknowledged(all[1].number, true, Some(all[0].identity.clone()));
        sweep(&mut ledger, false);
        assert_eq!(fates(&mut all)[1], None);
        ledger.acknowledged(all[0].number, false, None);
        sweep(&mut ledger, false);
        assert_eq!(fates(&mut all)[..2], [Some(Fate::CameBack), None], "which of the two came first is not known");
        ledger.acknowledged(all[2].number, false, None);
        sweep(&mut ledger, false);
        assert_eq!(fates(&mut all)[1..], [Some(Fate::Refused), Some(Fate::Confirmed), None]);
    }

    /// By then it was reported with an earlier answer that was not seen yet.
    #[test]
    fn that_there_was_none_later_counts_when_the_answers_before_that_are_seen() {
        let mut ledger = Ledger::default();
        let mut all = sent::<6>(&mut ledger);
        ledger.acknowledged(all[3].number, false, Some(all[0].identity.clone()));
        sweep(&mut ledger, false);
        ledger.acknowledged(all[5].number, false, Some(all[1].identity.clone()));
        assert!(ledger.sweeps());
        ledger.acknowledged(all[4].number, false, None);
        ledger.swept(false);
        assert_eq!(fates(&mut all)[3], None);
        ledger.acknowledged(all[2].number, false, Some(all[3].identity.clone()));
        sweep(&mut ledger, false);
        assert_eq!(fates(&mut all)[3], Some(Fate::CameBack));
    }

    #[test]
    fn a_channel_that_is_gone_says_nothing() {
        let mut ledger = Ledger::default();
        let mut all = sent::<1>(&mut ledger);
        ledger.answered(all[0].number, Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()));
        assert_eq!(fates(&mut all), [Some(Fate::Unknown)]);
        assert!(!ledger.sweeps());
    }
}
