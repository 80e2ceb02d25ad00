//! For stores that wrap another one: the methods that change nothing.

/// Forwards these methods of `EventStore` or `ProjectionStore` to the store in a field, in an `impl` of that trait.
#[doc(hidden)]
#[macro_export]
macro_rules! handed_on {
    ($field:ident: $($method:ident)+) => {
        $($crate::handed_on!(@ $field $method);)+
    };
    (@ $field:ident info) => {
        fn info(&self) -> $crate::store::StoreInfo {
            $crate::store::EventStore::info(&self.$field)
        }
    };
    // This one, `fold` and `apply_batch` are no `async fn`, which keeps its arguments twice: each layer would add to
    // the future of a command or of a batch.
    (@ $field:ident append) => {
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
    (@ $field:ident fold) => {
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
    (@ $field:ident read_stream) => {
        async fn read_stream(
            &self,
            stream: &$crate::store::StreamId,
            after: $crate::store::Version,
            limit: ::core::primitive::usize,
        ) -> ::core::result::Result<::std::vec::Vec<$crate::StoredEvent>, $crate::store::StoreError> {
            $crate::store::EventStore::read_stream(&self.$field, stream, after, limit).await
        }
    };
    (@ $field:ident read_all) => {
        async fn read_all(
            &self,
            after: $crate::store::Position,
            filter: &$crate::store::Filter,
            limit: ::core::primitive::usize,
        ) -> ::core::result::Result<$crate::store::Page, $crate::store::StoreError> {
            $crate::store::EventStore::read_all(&self.$field, after, filter, limit).await
        }
    };
    (@ $field:ident head) => {
        async fn head(&self) -> ::core::result::Result<$crate::store::Position, $crate::store::StoreError> {
            $crate::store::EventStore::head(&self.$field).await
        }
    };
    (@ $field:ident changed) => {
        async fn changed(&self, position: $crate::store::Position) {
            $crate::store::EventStore::changed(&self.$field, position).await
        }
    };
    (@ $field:ident open_projection) => {
        async fn open_projection(
            &self,
            projection: ::std::sync::Arc<dyn $crate::projection::Projection<Self::Backend>>,
            partitions: ::core::primitive::u32,
            after: $crate::store::Position,
        ) -> ::core::result::Result<(), $crate::projection::ProjectionError> {
            $crate::projection::ProjectionStore::open_projection(&self.$field, projection, partitions, after).await
        }
    };
    (@ $field:ident lease_projection) => {
        async fn lease_projection(
            &self,
            partition: $crate::projection::Partition,
            claim: $crate::projection::Claim,
        ) -> ::core::result::Result<$crate::projection::Lease, $crate::projection::ProjectionError> {
            $crate::projection::ProjectionStore::lease_projection(&self.$field, partition, claim).await
        }
    };
    (@ $field:ident longest_batch) => {
        fn longest_batch(&self) -> ::core::time::Duration {
            $crate::projection::ProjectionStore::longest_batch(&self.$field)
        }
    };
    (@ $field:ident apply_batch) => {
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
    (@ $field:ident reset_projection) => {
        async fn reset_projection(
            &self,
            projection: ::std::sync::Arc<dyn $crate::projection::Projection<Self::Backend>>,
            token: $crate::__private::Uuid,
        ) -> ::core::result::Result<(), $crate::projection::ProjectionError> {
            $crate::projection::ProjectionStore::reset_projection(&self.$field, projection, token).await
        }
    };
    (@ $field:ident dead_letters) => {
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
    (@ $field:ident settle_dead_letter) => {
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
}

pub(crate) use handed_on;
