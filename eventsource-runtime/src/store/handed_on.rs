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
            self.$field.info()
        }
    };
    (@ $field:ident append) => {
        fn append(
            &self,
            stream: &$crate::store::StreamId,
            expected: $crate::store::ExpectedVersion,
            events: Vec<$crate::store::NewEvent>,
        ) -> impl Future<Output = Result<$crate::store::Appended, $crate::store::AppendError>> + Send {
            self.$field.append(stream, expected, events)
        }
    };
    (@ $field:ident fold) => {
        fn fold<V: $crate::store::Visitor>(
            &self,
            fold: $crate::store::Fold,
            visitor: V,
        ) -> impl Future<Output = Result<$crate::store::Folded<V>, $crate::store::StoreError>> + Send {
            self.$field.fold(fold, visitor)
        }
    };
    (@ $field:ident read_stream) => {
        fn read_stream(
            &self,
            stream: &$crate::store::StreamId,
            after: $crate::store::Version,
            limit: usize,
        ) -> impl Future<Output = Result<Vec<$crate::StoredEvent>, $crate::store::StoreError>> + Send {
            self.$field.read_stream(stream, after, limit)
        }
    };
    (@ $field:ident read_all) => {
        fn read_all(
            &self,
            after: $crate::store::Position,
            filter: &$crate::store::Filter,
            limit: usize,
        ) -> impl Future<Output = Result<$crate::store::Page, $crate::store::StoreError>> + Send {
            self.$field.read_all(after, filter, limit)
        }
    };
    (@ $field:ident head) => {
        fn head(&self) -> impl Future<Output = Result<$crate::store::Position, $crate::store::StoreError>> + Send {
            self.$field.head()
        }
    };
    (@ $field:ident changed) => {
        fn changed(&self, position: $crate::store::Position) -> impl Future<Output = ()> + Send {
            self.$field.changed(position)
        }
    };
}

pub(crate) use handed_on;
