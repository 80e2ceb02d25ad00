//! The events of a flawed store, with which nothing is wrong.

use std::future::Future;

use eventsource_runtime::StoredEvent;
use eventsource_runtime::store::{
    AppendError, Appended, EventStore, ExpectedVersion, Filter, Fold, Folded, NewEvent, Page, Position, StoreError,
    StoreInfo, StreamId, Version, Visitor,
};

use super::flawed::Flawed;

impl EventStore for Flawed {
    fn info(&self) -> StoreInfo {
        self.events().info()
    }

    fn append(
        &self,
        stream: &StreamId,
        expected: ExpectedVersion,
        events: Vec<NewEvent>,
    ) -> impl Future<Output = Result<Appended, AppendError>> + Send {
        self.events().append(stream, expected, events)
    }

    fn fold<V: Visitor>(&self, fold: Fold, visitor: V) -> impl Future<Output = Result<Folded<V>, StoreError>> + Send {
        self.events().fold(fold, visitor)
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<StoredEvent>, StoreError>> + Send {
        self.events().read_stream(stream, after, limit)
    }

    fn read_all(
        &self,
        after: Position,
        filter: &Filter,
        limit: usize,
    ) -> impl Future<Output = Result<Page, StoreError>> + Send {
        self.events().read_all(after, filter, limit)
    }

    fn head(&self) -> impl Future<Output = Result<Position, StoreError>> + Send {
        self.events().head()
    }

    fn changed(&self, position: Position) -> impl Future<Output = ()> + Send {
        self.events().changed(position)
    }
}
