//! For stores that wrap another one: the methods that change nothing.

/// Forwards these methods of `EventStore` to the store in a field, in an `impl` of it.
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
        fn read_stream(
            &self,
            stream: &$crate::store::StreamId,
            after: $crate::store::Version,
            limit: ::core::primitive::usize,
        ) -> impl ::core::future::Future<
            Output = ::core::result::Result<::std::vec::Vec<$crate::StoredEvent>, $crate::store::StoreError>,
        > + ::core::marker::Send {
            $crate::store::EventStore::read_stream(&self.$field, stream, after, limit)
        }
    };
    (@ $field:ident read_all) => {
        fn read_all(
            &self,
            after: $crate::store::Position,
            filter: &$crate::store::Filter,
            limit: ::core::primitive::usize,
        ) -> impl ::core::future::Future<
            Output = ::core::result::Result<$crate::store::Page, $crate::store::StoreError>,
        > + ::core::marker::Send {
            $crate::store::EventStore::read_all(&self.$field, after, filter, limit)
        }
    };
    (@ $field:ident head) => {
        fn head(&self) -> impl ::core::future::Future<
            Output = ::core::result::Result<$crate::store::Position, $crate::store::StoreError>,
        > + ::core::marker::Send {
            $crate::store::EventStore::head(&self.$field)
        }
    };
    (@ $field:ident changed) => {
        fn changed(&self, position: $crate::store::Position) -> impl ::core::future::Future<
            Output = (),
        > + ::core::marker::Send {
            $crate::store::EventStore::changed(&self.$field, position)
        }
    };
}

pub(crate) use handed_on;
