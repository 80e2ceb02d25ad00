//! The parts of one projection: set up and emptied together, then each on its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::ProjectionStore;
use super::aside::Built;
use super::catch_panic::catch_panic;
use super::error::ProjectionError;
use super::halt::Halt;
use super::leasing::{Hold, LOOK, give_up, keeping};
use super::options::Rebuild;
use super::partition_runner::{Cursor, PartitionRunner};
use super::progress::Standing;
use super::rebuild::Rebuilding;
use super::runner::Asked;
use crate::dispatch::boxed;
use crate::store::Position;
use crate::telemetry::{Scope, log};

/// How long a set-up may still take once the runner is stopped.
const SETTING_UP: Duration = Duration::from_secs(5);

pub(super) struct ProjectionTask<S: ProjectionStore> {
    /// At least one.
    pub(super) parts: Vec<PartitionRunner<S>>,
    pub(super) scope: Scope,
}

/// What every part starts with.
#[derive(Clone)]
struct Start {
    past: Position,
    /// If the read model is rebuilt: the lease that every part has, where it stands, and the rebuild's progress.
    rebuilt: Option<(Built, Arc<Rebuilding>)>,
}

impl<S: ProjectionStore> ProjectionTask<S> {
    pub(super) async fn run(self, head: Asked) {
        let mut head = Some(head);
        loop {
            let start = match catch_panic(self.start(head.take())).await {
                Ok(start) => start,
                Err(Halt::Stopped) => return self.parts.iter().for_each(|part| part.end(Ok(()))),
                Err(Halt::Failed(error)) => return self.fail(error),
            };
            if self.follow(&start).await {
                return;
            }
            self.leave(&start).await;
        }
    }

    /// Follows the feed until each part was stopped, or failed; false as soon as a rebuild has lost one.
    ///
    /// A part that has failed for good is not begun again with the others, for then nobody would learn of it: one that
    /// loses its place fails as well then.
    async fn follow(&self, start: &Start) -> bool {
        let mut parts = JoinSet::new();
        for part in &self.parts {
            let (mut part, start) = (part.clone(), start.clone());
            part.rebuilding = start.rebuilt.as_ref().map(|(_, rebuilding)| Arc::clone(rebuilding));
            parts.spawn(self.scope.clone().run(boxed(async move {
                match catch_panic(start.part(&part)).await {
                    Err(Halt::Failed(error)) if error.loses_its_place() => Some((part, error)),
                    ended => {
                        part.end(ended);
                        None
                    }
                }
            })));
        }
        // Dropped early, as when the runner gives up waiting, it aborts the rest.
        while let Some(part) = parts.join_next().await {
            let Ok(Some((lost, error))) = part else { continue };
            if self.has_failed() {
                lost.end(Err(error.into()));
                continue;
            }
            parts.shutdown().await;
            if self.has_failed() {
                // Meanwhile: what was aborted ends with it.
                self.fail(error);
                break;
            }
            return false;
        }
        true
    }

    fn has_failed(&self) -> bool {
        self.parts.iter().any(PartitionRunner::has_failed)
    }

    /// Leaves a rebuild that is to start over. The leases that it holds would otherwise be waited for.
    async fn leave(&self, start: &Start) {
        if let Some(((hold, _), _)) = &start.rebuilt {
            give_up(&self.parts, hold).await;
        }
        for part in &self.parts {
            part.progress.send_replace(Standing::default());
        }
    }

    /// Ends whatever has not ended yet.
    fn fail(&self, error: ProjectionError) {
        let mut running = self.parts.iter().filter(|part| part.progress.borrow().ended.is_none());
        let Some(first) = running.next() else { return };
        first.end(Err(error.into()));
        let ended = first.progress.borrow().ended.clone();
        for other in running {
            other.progress.send_modify(|progress| progress.ended.clone_from(&ended));
        }
    }

    /// Opens the projection, and empties it if it is to be rebuilt.
    async fn start(&self, head: Option<Asked>) -> Result<Start, Halt> {
        let Some(first) = self.parts.first() else { return Err(Halt::Stopped) };
        let past = first.within(SETTING_UP, Box::pin(self.open(first, head))).await??;
        Ok(match first.options.rebuild {
            None => Start { past, rebuilt: None },
            Some(Rebuild::InPlace) => {
                let (hold, past) = self.empty(first).await?;
                self.tell_head(past);
                let (name, parts, metrics) = (first.partition.projection, self.parts.len(), first.options.metrics);
                let rebuilding = Arc::new(Rebuilding::begin(name, Rebuild::InPlace, past, parts, metrics));
                // Begins with the first event, in a read model that is empty.
                Start { past, rebuilt: Some(((hold, Position::START), rebuilding)) }
            }
            Some(Rebuild::Aside) => Start { past, rebuilt: Some(Self::build_aside(first, past).await?) },
        })
    }

    /// Opens the projection, and returns where the feed ends.
    async fn open(&self, first: &PartitionRunner<S>, head: Option<Asked>) -> Result<Position, Halt> {
        let known = match head {
            Some(head) => head.await.ok(),
            None => None,
        };
        let past = match known {
            Some(head) => head,
            None => first.ask(S::head).await?,
        };
        self.tell_head(past);
        first.open(first.options.begin.after(past)).await?;
        Ok(past)
    }

    fn tell_head(&self, head: Position) {
        for gap in self.parts.iter().filter_map(|part| part.gap.as_ref()) {
            gap.head(head.get());
        }
    }

    /// Builds the read model aside; starts over if the lease, or the end of the feed, was lost meanwhile. What was
    /// built is useless then: the place may be closed, and hold what the feed no longer has.
    async fn build_aside(first: &PartitionRunner<S>, past: Position) -> Result<(Built, Arc<Rebuilding>), Halt> {
        loop {
            match Box::pin(first.build_aside(past)).await {
                Err(Halt::Failed(error)) if error.loses_its_place() => first.tell_lost(&error),
                // Readers still see the old one.
                Err(Halt::Failed(error)) => return Err(error.keeping(first.live().await).into()),
                built => return built,
            }
            // What takes it each time, and at once, would otherwise have the store do nothing else.
            first.unless_stopped(tokio::time::sleep(LOOK)).await?;
        }
    }

    /// Takes the leases of all parts and empties the read model, and returns up to where the feed is the past then;
    /// starts over if one of them was lost meanwhile. If it ends early, no lease is kept for others to wait for.
    async fn empty(&self, first: &PartitionRunner<S>) -> Result<(Hold, Position), Halt> {
        let mut hold = Hold::new(&first.options);
        loop {
            match self.emptied(first, &mut hold).await {
                Ok(past) => return Ok((hold, past)),
                Err(Halt::Failed(error)) if error.is_lease_lost() => first.tell_lost(&error),
                Err(halt) => {
                    give_up(&self.parts, &hold).await;
                    return Err(halt);
                }
            }
        }
    }

    async fn emptied(&self, first: &PartitionRunner<S>, hold: &mut Hold) -> Result<Position, Halt> {
        self.acquire(hold).await?;
        let claim = hold.claim.clone();
        let token = claim.token;
        let reset = first.patiently(|first| first.store.reset_projection(Arc::clone(&first.projection), token));
        // A large table takes longer to empty than a lease lasts.
        keeping(&self.parts, &claim, Box::pin(reset)).await?;
        // They may have expired meanwhile, and a reset leaves them little time.
        for part in &self.parts {
            part.renew(hold).await?;
        }
        // Others may have had the leases for long, and have applied what came meanwhile: that is gone now, too.
        first.ask(S::head).await
    }

    /// Waits for the leases of all parts.
    ///
    /// The progress of others is none here: what is waited for is the rebuilt read model.
    ///
    /// If one is another's, those already held are given up until the next look: the other may keep its own forever,
    /// and nobody would apply what is theirs.
    async fn acquire(&self, hold: &mut Hold) -> Result<(), Halt> {
        let (mut had, mut told) = (0, false);
        while let Some(part) = self.parts.get(had) {
            let Some(taken) = part.claim(hold).await?.taken else {
                had += 1;
                continue;
            };
            if !std::mem::replace(&mut told, true) {
                log::projection_rebuild_waits(part.partition.projection, part.partition.index, &taken.owner);
            }
            give_up(&self.parts[..std::mem::take(&mut had)], hold).await;
            part.look_later(&taken).await?;
        }
        Ok(())
    }
}

impl Start {
    async fn part<S: ProjectionStore>(self, part: &PartitionRunner<S>) -> Result<(), Halt> {
        // One that was built aside has the past in it.
        let replays = self.rebuilt.as_ref().is_some_and(|(_, rebuilding)| rebuilding.is_in_place());
        let (hold, checkpoint) = if let Some((had, _)) = self.rebuilt {
            had
        } else {
            let mut hold = Hold::new(&part.options);
            match part.stand_by(&mut hold).await {
                Ok(checkpoint) => (hold, checkpoint),
                Err(halt) => {
                    // The request may have been granted when nobody listened any more.
                    part.give_up(&hold).await;
                    return Err(halt);
                }
            }
        };
        let mut cursor = Cursor::new(checkpoint, self.past, hold);
        cursor.rebuilding = replays;
        let followed = part.follow(&mut cursor).await;
        part.give_up(&cursor.hold).await;
        followed
    }
}
