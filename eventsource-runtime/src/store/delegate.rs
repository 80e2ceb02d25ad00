//! For stores that wrap another one: the methods that change nothing.

/// Forwards methods of [`EventStore`](crate::store::EventStore), [`SnapshotStore`](crate::snapshot::SnapshotStore) or
/// [`ProjectionStore`](crate::projection::ProjectionStore) to the store in a field, in an `impl` of that trait.
///
/// It takes the field, by name or number, and the names of the methods. The others are written out. List the provided
/// methods too: one that is forgotten does not what the inner store does, but what a store without it does.
///
/// `open_aside` makes a clone of the store around the place that the inner store opens, and `swap_aside` gives the
/// place back to the inner store. `fold_from_snapshot` needs the events and the snapshots in the one store.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use eventsource_runtime::delegate;
/// use eventsource_runtime::projection::ProjectionStore;
/// use eventsource_runtime::snapshot::SnapshotStore;
/// use eventsource_runtime::store::{
///     AppendError, Appended, EventStore, ExpectedVersion, MemoryStore, NewEvent, StreamId,
/// };
///
/// /// A store that counts its appends.
/// #[derive(Clone)]
/// struct Counting<S> {
///     inner: S,
///     appends: Arc<AtomicU64>,
/// }
///
/// impl<S: EventStore> EventStore for Counting<S> {
///     delegate!(inner: info fold read_stream read_all head changed);
///
///     async fn append(
///         &self,
///         stream: &StreamId,
///         expected: ExpectedVersion,
///         events: Vec<NewEvent>,
///     ) -> Result<Appended, AppendError> {
///         self.appends.fetch_add(1, Ordering::Relaxed);
///         self.inner.append(stream, expected, events).await
///     }
/// }
///
/// impl<S: EventStore + SnapshotStore> SnapshotStore for Counting<S> {
///     delegate!(
///         inner: snapshots save_snapshot latest_snapshot snapshot_exists delete_snapshot delete_snapshots
///         fold_from_snapshot
///     );
/// }
///
/// impl<S: ProjectionStore> ProjectionStore for Counting<S> {
///     type Backend = S::Backend;
///
///     delegate!(
///         inner: open_projection lease_projection longest_batch apply_batch reset_projection dead_letters
///         settle_dead_letter open_aside swap_aside
///     );
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = Counting { inner: MemoryStore::new(), appends: Arc::default() };
/// store.append(&StreamId::new("Order", 42), ExpectedVersion::Any, Vec::new()).await?;
/// assert_eq!(store.appends.load(Ordering::Relaxed), 1);
/// # Ok::<(), AppendError>(()) }).unwrap();
/// ```
#[macro_export]
macro_rules! delegate {
    ($field:tt: $($method:ident)+) => {
        $($crate::delegate!(@ $field $method);)+
    };
    (@ $field:tt info) => {
        fn info(&self) -> $crate::store::StoreInfo {
            $crate::store::EventStore::info(&self.$field)
        }
    };
    // This one, the folds and `apply_batch` are no `async fn`, which keeps its arguments twice: each layer would add to
    // the future of a command or of a batch.
    (@ $field:tt append) => {
        fn append(
            &self,
            stream: &$crate::store::StreamId,
            expected: $crate::store::ExpectedVersion,
            events: ::std::vec::Vec<$crate::store::NewEvent>,
        ) -> impl ::core::future::Future<
            Output = ::core::result::Result<$crate::store::Appended, $crate::store::AppendError>,
        > + ::core::marker::Send {
            $crate::store::EventStore::append(&self.$field, stream, expected, events)
        }
    };
    (@ $field:tt fold) => {
        fn fold<V: $crate::store::Visitor>(
            &self,
            fold: $crate::store::Fold,
            visitor: V,
        ) -> impl ::core::future::Future<
            Output = ::core::result::Result<$crate::store::Folded<V>, $crate::store::StoreError>,
        > + ::core::marker::Send {
            $crate::store::EventStore::fold(&self.$field, fold, visitor)
        }
    };
    (@ $field:tt read_stream) => {
        async fn read_stream(
            &self,
            stream: &$crate::store::StreamId,
            after: $crate::store::Version,
            limit: ::core::primitive::usize,
        ) -> ::core::result::Result<::std::vec::Vec<$crate::StoredEvent>, $crate::store::StoreError> {
            $crate::store::EventStore::read_stream(&self.$field, stream, after, limit).await
        }
    };
    (@ $field:tt read_all) => {
        async fn read_all(
            &self,
            after: $crate::store::Position,
            filter: &$crate::store::Filter,
            limit: ::core::primitive::usize,
        ) -> ::core::result::Result<$crate::store::Page, $crate::store::StoreError> {
            $crate::store::EventStore::read_all(&self.$field, after, filter, limit).await
        }
    };
    (@ $field:tt head) => {
        async fn head(&self) -> ::core::result::Result<$crate::store::Position, $crate::store::StoreError> {
            $crate::store::EventStore::head(&self.$field).await
        }
    };
    (@ $field:tt changed) => {
        async fn changed(&self, position: $crate::store::Position) {
            $crate::store::EventStore::changed(&self.$field, position).await
        }
    };
    (@ $field:tt open_projection) => {
        async fn open_projection(
            &self,
            projection: ::std::sync::Arc<dyn $crate::projection::Projection<Self::Backend>>,
            partitions: ::core::primitive::u32,
            after: $crate::store::Position,
        ) -> ::core::result::Result<(), $crate::projection::ProjectionError> {
            $crate::projection::ProjectionStore::open_projection(&self.$field, projection, partitions, after).await
        }
    };
    (@ $field:tt lease_projection) => {
        async fn lease_projection(
            &self,
            partition: $crate::projection::Partition,
            claim: $crate::projection::Claim,
        ) -> ::core::result::Result<$crate::projection::Lease, $crate::projection::ProjectionError> {
            $crate::projection::ProjectionStore::lease_projection(&self.$field, partition, claim).await
        }
    };
    (@ $field:tt longest_batch) => {
        fn longest_batch(&self) -> ::core::time::Duration {
            $crate::projection::ProjectionStore::longest_batch(&self.$field)
        }
    };
    (@ $field:tt apply_batch) => {
        fn apply_batch(
            &self,
            projection: ::std::sync::Arc<dyn $crate::projection::Projection<Self::Backend>>,
            batch: $crate::projection::Batch,
            scope: $crate::telemetry::Scope,
        ) -> impl ::core::future::Future<
            Output = ::core::result::Result<$crate::projection::Applied, $crate::projection::ProjectionError>,
        > + ::core::marker::Send {
            $crate::projection::ProjectionStore::apply_batch(&self.$field, projection, batch, scope)
        }
    };
    (@ $field:tt reset_projection) => {
        async fn reset_projection(
            &self,
            projection: ::std::sync::Arc<dyn $crate::projection::Projection<Self::Backend>>,
            token: $crate::__private::Uuid,
        ) -> ::core::result::Result<(), $crate::projection::ProjectionError> {
            $crate::projection::ProjectionStore::reset_projection(&self.$field, projection, token).await
        }
    };
    (@ $field:tt dead_letters) => {
        async fn dead_letters(
            &self,
            projection: &'static ::core::primitive::str,
            letters: $crate::projection::Letters,
        ) -> ::core::result::Result<
            ::std::vec::Vec<$crate::projection::DeadLetter>,
            $crate::projection::ProjectionError,
        > {
            $crate::projection::ProjectionStore::dead_letters(&self.$field, projection, letters).await
        }
    };
    (@ $field:tt settle_dead_letter) => {
        async fn settle_dead_letter(
            &self,
            projection: ::std::sync::Arc<dyn $crate::projection::Projection<Self::Backend>>,
            position: $crate::store::Position,
            event: ::core::option::Option<$crate::StoredEvent>,
            scope: $crate::telemetry::Scope,
        ) -> ::core::result::Result<::core::primitive::bool, $crate::projection::ProjectionError> {
            $crate::projection::ProjectionStore::settle_dead_letter(&self.$field, projection, position, event, scope)
                .await
        }
    };
    (@ $field:tt open_aside) => {
        async fn open_aside(
            &self,
            projection: &'static ::core::primitive::str,
        ) -> ::core::result::Result<Self, $crate::projection::ProjectionError> {
            let place = $crate::projection::ProjectionStore::open_aside(&self.$field, projection).await?;
            let mut aside = ::core::clone::Clone::clone(self);
            aside.$field = place;
            ::core::result::Result::Ok(aside)
        }
    };
    (@ $field:tt swap_aside) => {
        async fn swap_aside(
            &self,
            projection: &'static ::core::primitive::str,
            aside: Self,
            token: $crate::__private::Uuid,
        ) -> ::core::result::Result<(), $crate::projection::ProjectionError> {
            $crate::projection::ProjectionStore::swap_aside(&self.$field, projection, aside.$field, token).await
        }
    };
    (@ $field:tt snapshots) => {
        fn snapshots(&self) -> ::core::option::Option<$crate::store::StoreInfo> {
            $crate::snapshot::SnapshotStore::snapshots(&self.$field)
        }
    };
    (@ $field:tt save_snapshot) => {
        async fn save_snapshot(
            &self,
            snapshot: $crate::snapshot::StoredSnapshot,
        ) -> ::core::result::Result<(), $crate::store::StoreError> {
            $crate::snapshot::SnapshotStore::save_snapshot(&self.$field, snapshot).await
        }
    };
    (@ $field:tt latest_snapshot) => {
        async fn latest_snapshot(
            &self,
            stream: &$crate::store::StreamId,
        ) -> ::core::result::Result<
            ::core::option::Option<$crate::snapshot::StoredSnapshot>,
            $crate::store::StoreError,
        > {
            $crate::snapshot::SnapshotStore::latest_snapshot(&self.$field, stream).await
        }
    };
    (@ $field:tt snapshot_exists) => {
        async fn snapshot_exists(
            &self,
            stream: &$crate::store::StreamId,
        ) -> ::core::result::Result<::core::primitive::bool, $crate::store::StoreError> {
            $crate::snapshot::SnapshotStore::snapshot_exists(&self.$field, stream).await
        }
    };
    (@ $field:tt delete_snapshot) => {
        async fn delete_snapshot(
            &self,
            stream: &$crate::store::StreamId,
        ) -> ::core::result::Result<::core::primitive::bool, $crate::store::StoreError> {
            $crate::snapshot::SnapshotStore::delete_snapshot(&self.$field, stream).await
        }
    };
    (@ $field:tt delete_snapshots) => {
        async fn delete_snapshots(
            &self,
            aggregate_type: &::core::primitive::str,
        ) -> ::core::result::Result<::core::primitive::u64, $crate::store::StoreError> {
            $crate::snapshot::SnapshotStore::delete_snapshots(&self.$field, aggregate_type).await
        }
    };
    (@ $field:tt fold_from_snapshot) => {
        fn fold_from_snapshot<V: $crate::snapshot::Restore>(
            &self,
            fold: $crate::store::Fold,
            visitor: V,
        ) -> impl ::core::future::Future<
            Output = ::core::result::Result<$crate::store::Folded<V>, $crate::store::StoreError>,
        > + ::core::marker::Send {
            $crate::snapshot::SnapshotStore::fold_from_snapshot(&self.$field, fold, visitor)
        }
    };
}

pub(crate) use delegate;
