const _: () = {
    #[automatically_derived]
    impl ::eventsource_runtime::Includes<OrderPlaced> for OrderEvent {
        fn include(__es_event: OrderPlaced) -> Self {
            Self::OrderPlaced(__es_event)
        }
    }
    #[automatically_derived]
    impl ::core::convert::From<OrderPlaced> for OrderEvent {
        fn from(__es_event: OrderPlaced) -> Self {
            Self::OrderPlaced(__es_event)
        }
    }
    #[automatically_derived]
    impl ::core::fmt::Debug for OrderEvent {
        fn fmt(&self, __es_out: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            ::core::fmt::Formatter::write_str(
                __es_out,
                match self {
                    Self::OrderPlaced(_) => "OrderPlaced",
                },
            )
        }
    }
    #[automatically_derived]
    impl ::eventsource_runtime::EventSet for OrderEvent {
        const EVENTS: &'static [::eventsource_runtime::EventDef<Self>] = &[
            ::eventsource_runtime::EventDef::of::<OrderPlaced>(),
        ];
        fn as_event(&self) -> &dyn ::eventsource_runtime::AnyEvent {
            use ::eventsource_runtime::__private::probe::member::*;
            match self {
                Self::OrderPlaced(__es_event) => {
                    ::eventsource_runtime::__private::Member(__es_event).__es_any()
                }
            }
        }
    }
    #[automatically_derived]
    impl ::eventsource_runtime::IntoEvents<OrderEvent> for OrderEvent {
        fn into_events(
            self,
            __es_events: &mut ::eventsource_runtime::__private::Vec<OrderEvent>,
        ) {
            ::eventsource_runtime::__private::Vec::push(__es_events, self);
        }
    }
    const _: () = ::eventsource_runtime::__private::distinct_names(
        <OrderEvent as ::eventsource_runtime::EventSet>::EVENTS,
    );
    #[automatically_derived]
    impl ::eventsource_runtime::Aggregate for Order {
        const NAME: &'static ::core::primitive::str = "Order";
        type Id = Uuid;
        type Event = OrderEvent;
        type Error = ::core::convert::Infallible;
        fn evolve(&mut self, __es_event: OrderEvent) {
            match __es_event {
                OrderEvent::OrderPlaced(__es_event) => {
                    <Self as ::eventsource_runtime::Apply<
                        OrderPlaced,
                    >>::apply(self, __es_event)
                }
            }
        }
        fn evolve_stored(
            &mut self,
            __es_stored: &::eventsource_runtime::EventRef<'_>,
        ) -> ::core::result::Result<(), ::eventsource_runtime::DecodeError> {
            use ::eventsource_runtime::__private::probe::stored::*;
            if let ::core::option::Option::Some(__es_event) = ::eventsource_runtime::__private::Stored::<
                OrderPlaced,
            >::new(__es_stored)
                .__es_read()?
            {
                <Self as ::eventsource_runtime::Apply<
                    OrderPlaced,
                >>::apply(self, __es_event);
                return ::core::result::Result::Ok(());
            }
            ::eventsource_runtime::__private::unknown(__es_stored)
        }
    }
};
/// The events of [`Order`], in the order in which they are listed there.
#[allow(
    clippy::enum_variant_names,
    clippy::large_enum_variant,
    clippy::derive_partial_eq_without_eq,
)]
enum OrderEvent {
    /// See [`OrderPlaced`].
    OrderPlaced(OrderPlaced),
}
