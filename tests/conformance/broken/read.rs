//! Reads, and what may be wrong with them.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use eventsource_runtime::store::{
    AppendError, EventStore, Filter, Fold, Folded, Page, Position, StoreError, StreamId, Version, Visitor,
};
use eventsource_runtime::{Envelope, EventRef, Metadata, StoredEvent};
use tokio::task::yield_now;

use super::defect::Defect;
use super::store::Broken;

/// The names that the cases filter by, and one that they do not.
const TYPES: [&str; 9] = ["Placed", "Shipped", "Paid", "Plac", "placed", "Placed ", "P_aced", "%", "\0"];
const AGGREGATES: [&str; 8] = ["Order", "Parcel", "Pallet", "Ord", "order", "Order-", "O%", "\0"];

/// A visitor to whom some is shown that should not be, and some is not.
struct Misled<V> {
    visitor: V,
    defect: Defect,
    shown: u64,
}

impl<V: Visitor> Visitor for Misled<V> {
    fn visit(&mut self, event: EventRef<'_>) -> ControlFlow<()> {
        self.shown += 1;
        let place = (event.version, event.position);
        let schema_version = if self.defect == Defect::FoldHasNoSchemaVersion { 1 } else { event.schema_version };
        let shown = EventRef::new(event.stream, place, (event.event_type, schema_version), event.payload);
        let flow = self.visitor.visit(shown);
        match self.defect {
            Defect::FoldDoesNotStop => ControlFlow::Continue(()),
            Defect::FoldHasOnePage if self.shown == 4096 => ControlFlow::Break(()),
            _ => flow,
        }
    }
}

impl Broken {
    pub(super) async fn fold_badly<V: Visitor>(&self, mut fold: Fold, visitor: V) -> Result<Folded<V>, StoreError> {
        let length = self.stands(&fold.stream).await.version.get();
        let (after, first) = (fold.after.get(), fold.first_event);
        match self.defect {
            Defect::FoldShowsTheVersionItself if length <= 64 && 0 < after && after < length => {
                fold.after = Version::new(after - 1);
            }
            Defect::FoldOfNoStreamFails if length == 0 => {
                return Err(StoreError::backend("fold a stream", "there is no such stream"));
            }
            Defect::FoldAfterTheEndShowsAll if after > length => fold.after = Version::START,
            Defect::FoldThatLooksForACommandBeginsAnew if first.is_some() => fold.after = Version::START,
            Defect::EarlierIsNotFound => fold.first_event = None,
            Defect::UnknownFirstEndsTheFold
                if first.is_some() && !self.all().await.iter().any(|event| Some(event.id) == first) =>
            {
                return Ok(Folded::new(visitor, 0, None));
            }
            _ => {}
        }
        let (stream, again) = (fold.stream.clone(), Fold { first_event: None, ..fold.clone() });
        let mut folded = self.memory.fold(fold, Misled { visitor, defect: self.defect, shown: 0 }).await?;
        match self.defect {
            Defect::FoldCountsNothing => folded.visited = 0,
            Defect::EarlierEndsAtItsFirst => {
                if let Some(earlier) = &mut folded.earlier {
                    earlier.version = Version::new(earlier.version.get() + 1 - earlier.events);
                }
            }
            Defect::EarlierIsShown if folded.earlier.is_some() => {
                let shown = self.memory.fold(again, folded.visitor).await?;
                folded = Folded::new(shown.visitor, shown.visited, folded.earlier);
            }
            Defect::EarlierIsSoughtOnce if folded.visited > 0 => folded.earlier = None,
            Defect::EarlierIsFoundAnywhere if folded.earlier.is_none() => {
                let elsewhere = self.all().await.into_iter().find(|event| Some(event.id) == first);
                if elsewhere.is_some() {
                    folded.earlier = Some(self.stands(&stream).await.repeated());
                }
            }
            _ => {}
        }
        Ok(Folded::new(folded.visitor.visitor, folded.visited, folded.earlier))
    }

    pub(super) async fn read_stream_badly(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let limit = match self.defect {
            Defect::StreamPageIsWhole if limit > 0 => usize::MAX,
            Defect::NoneIsAll if limit == 0 => usize::MAX,
            _ => limit,
        };
        let mut events = self.memory.read_stream(stream, after, limit).await?;
        // Of one case alone the stream is as long.
        if let (Defect::PositionsHaveGaps, 11, Some(last)) = (self.defect, events.len(), events.last_mut()) {
            let mut envelope = Envelope::clone(last);
            envelope.position = Position::new(envelope.position.get() + 1);
            *last = StoredEvent::new(envelope, last.payload().clone());
        }
        if self.defect == Defect::ReadsAreStaleUnderLoad {
            let end = self.seen_end(stream, after).await;
            events.retain(|event| end.is_none_or(|end| event.version <= end));
        }
        Ok(events)
    }

    /// Where a stream ended when there was no load, while there is, if it has been read from its start.
    async fn seen_end(&self, stream: &StreamId, after: Version) -> Option<Version> {
        if AppendError::check(stream, &[]).is_err() {
            return None;
        }
        let end = self.stands(stream).await.version;
        let mut notes = self.state.notes();
        if self.state.under_way.load(Ordering::SeqCst) > 0 && notes.ends.contains_key(stream) {
            return notes.ends.get(stream).copied();
        }
        if after == Version::START || notes.ends.contains_key(stream) {
            notes.ends.insert(stream.clone(), end);
        }
        None
    }

    pub(super) async fn read_all_badly(
        &self,
        after: Position,
        filter: &Filter,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let limit = if self.defect == Defect::FeedPageIsWhole && limit > 0 { usize::MAX } else { limit };
        let anew = self.defect == Defect::FilterWithoutALimitBeginsAnew
            && limit == usize::MAX
            && filter.listed_event_types().is_some();
        let after = if anew { Position::START } else { after };
        let of_all_aggregates =
            filter.listed_event_types().map_or_else(Filter::all, |names| Filter::all().event_types(names.to_vec()));
        let filter = match self.defect {
            Defect::LaterPagesAreOfAllAggregateTypes if after > Position::START => &of_all_aggregates,
            _ => filter,
        };
        let mut page = if self.filters() {
            let mut page = self.memory.read_all(after, &Filter::all(), limit).await?;
            page.events.retain(|event| self.shows(filter, &event.event_type, event.stream.aggregate_type()));
            page
        } else {
            self.memory.read_all(after, filter, limit).await?
        };
        let is_filtered = filter.listed_event_types().is_some();
        match self.defect {
            Defect::FeedHasNoMetadata => page.events.iter_mut().for_each(without_metadata),
            Defect::LargePagesAreByStream if limit > 512 => {
                page.events.sort_by(|one, other| one.stream.cmp(&other.stream));
            }
            Defect::FeedIsByTime => page.events.sort_by_key(|event| event.recorded_at),
            Defect::FeedEndsAtWhatItHides => {
                page.scanned = page.events.last().map_or(after, |event| event.position);
            }
            Defect::NoneIsPassedOver if limit == 0 => page.scanned = self.memory.head().await?.max(after),
            Defect::FeedPassesOverWhatIsUnderWay if !is_filtered && self.state.under_way.load(Ordering::SeqCst) > 0 => {
                page.events.pop();
            }
            // A page that has come to the end has looked at all there is, it thinks, and asks how far that goes.
            Defect::FilteredFeedIsReadInTwoSteps if is_filtered && page.scanned == self.memory.head().await? => {
                yield_now().await;
                page.scanned = self.memory.head().await?.max(after);
            }
            _ => {}
        }
        Ok(page)
    }

    /// Whether the filter is the defect's business.
    fn filters(&self) -> bool {
        matches!(
            self.defect,
            Defect::EventTypesAreNotFiltered
                | Defect::AggregateTypesAreNotFiltered
                | Defect::EitherListWillDo
                | Defect::EmptyListIsNoList
                | Defect::FilterComparesBeginnings
                | Defect::FeedEndsAtWhatItHides
        )
    }

    fn shows(&self, filter: &Filter, event_type: &str, aggregate: &str) -> bool {
        let by_type = AGGREGATES.iter().any(|aggregate| filter.shows(event_type, aggregate));
        let by_aggregate = TYPES.iter().any(|event_type| filter.shows(event_type, aggregate));
        // A list that is not there shows what nobody has listed.
        let has_types = !AGGREGATES.iter().any(|aggregate| filter.shows("unheard of", aggregate));
        let has_aggregates = !TYPES.iter().any(|event_type| filter.shows(event_type, "unheard of"));
        match self.defect {
            Defect::EventTypesAreNotFiltered if !has_aggregates => true,
            Defect::AggregateTypesAreNotFiltered if !has_types => true,
            Defect::EitherListWillDo if has_types && has_aggregates && are_known(filter) => by_type || by_aggregate,
            Defect::EmptyListIsNoList => {
                let nothing = TYPES
                    .iter()
                    .all(|event_type| AGGREGATES.iter().all(|aggregate| !filter.shows(event_type, aggregate)));
                nothing || filter.shows(event_type, aggregate)
            }
            Defect::FilterComparesBeginnings => {
                let beginnings = |name: &str| (1..=name.len()).map(|end| name[..end].to_owned()).collect::<Vec<_>>();
                beginnings(event_type)
                    .iter()
                    .any(|event_type| beginnings(aggregate).iter().any(|aggregate| filter.shows(event_type, aggregate)))
            }
            _ => filter.shows(event_type, aggregate),
        }
    }
}

fn without_metadata(event: &mut StoredEvent) {
    let mut envelope = Envelope::clone(event);
    envelope.metadata = Metadata::default();
    *event = StoredEvent::new(envelope, event.payload().clone());
}

/// Whether a filter lists what there is.
fn are_known(filter: &Filter) -> bool {
    let all = ["Placed", "Shipped"].map(|event_type| ["Order", "Parcel"].map(|of| filter.shows(event_type, of)));
    all.iter().flatten().any(|shows| *shows)
}
