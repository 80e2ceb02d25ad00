const _: () = {
    #[automatically_derived]
    impl ::eventsource_runtime::Includes<OrderPlaced> for OrderFact {
        fn include(__es_event: OrderPlaced) -> Self {
            Self::OrderPlaced(__es_event)
        }
    }
    #[automatically_derived]
    impl ::core::convert::From<OrderPlaced> for OrderFact {
        fn from(__es_event: OrderPlaced) -> Self {
            Self::OrderPlaced(__es_event)
        }
    }
    #[automatically_derived]
    impl ::eventsource_runtime::Includes<shipping::OrderShipped> for OrderFact {
        fn include(__es_event: shipping::OrderShipped) -> Self {
            Self::OrderShipped(__es_event)
        }
    }
    #[automatically_derived]
    impl ::core::convert::From<shipping::OrderShipped> for OrderFact {
        fn from(__es_event: shipping::OrderShipped) -> Self {
            Self::OrderShipped(__es_event)
        }
    }
    #[automatically_derived]
    impl ::eventsource_runtime::__private::HasSensitive<
        {
            use ::eventsource_runtime::__private::probe::shown::*;
            ::eventsource_runtime::__private::whole_if(
                false
                    || ::eventsource_runtime::__private::Field::<
                        OrderPlaced,
                        { ::eventsource_runtime::__private::WHOLE },
                    >::HIDDEN
                    || ::eventsource_runtime::__private::Field::<
                        shipping::OrderShipped,
                        { ::eventsource_runtime::__private::WHOLE },
                    >::HIDDEN,
            )
        },
    > for OrderFact {}
    #[automatically_derived]
    impl ::eventsource_runtime::EventSet for OrderFact {
        const EVENTS: &'static [::eventsource_runtime::EventDef<Self>] = &[
            ::eventsource_runtime::EventDef::of::<OrderPlaced>(),
            ::eventsource_runtime::EventDef::of::<shipping::OrderShipped>(),
        ];
        fn as_event(&self) -> &dyn ::eventsource_runtime::AnyEvent {
            use ::eventsource_runtime::__private::probe::member::*;
            match self {
                Self::OrderPlaced(__es_event) => {
                    ::eventsource_runtime::__private::Member(__es_event).__es_any()
                }
                Self::OrderShipped(__es_event) => {
                    ::eventsource_runtime::__private::Member(__es_event).__es_any()
                }
            }
        }
    }
    #[automatically_derived]
    impl ::eventsource_runtime::IntoEvents<OrderFact> for OrderFact {
        fn into_events(
            self,
            __es_events: &mut ::eventsource_runtime::__private::Vec<OrderFact>,
        ) {
            ::eventsource_runtime::__private::Vec::push(__es_events, self);
        }
    }
    const _: () = ::eventsource_runtime::__private::distinct_names(
        <OrderFact as ::eventsource_runtime::EventSet>::EVENTS,
    );
    #[automatically_derived]
    impl ::eventsource_runtime::Aggregate for Order {
        const NAME: &'static ::core::primitive::str = "order";
        const SNAPSHOT: ::core::option::Option<::eventsource_runtime::Snapshot<Self>> = ::core::option::Option::Some(
            ::eventsource_runtime::Snapshot::json(100u64)
                .with_schema(2u32, 9539258180310359793u64),
        );
        type Id = Uuid;
        type Event = OrderFact;
        type Error = OrderError;
        fn evolve(&mut self, __es_event: OrderFact) {
            match __es_event {
                OrderFact::OrderPlaced(__es_event) => {
                    <Self as ::eventsource_runtime::Apply<
                        OrderPlaced,
                    >>::apply(self, __es_event)
                }
                OrderFact::OrderShipped(__es_event) => {
                    <Self as ::eventsource_runtime::Apply<
                        shipping::OrderShipped,
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
            if let ::core::option::Option::Some(__es_event) = ::eventsource_runtime::__private::Stored::<
                shipping::OrderShipped,
            >::new(__es_stored)
                .__es_read()?
            {
                <Self as ::eventsource_runtime::Apply<
                    shipping::OrderShipped,
                >>::apply(self, __es_event);
                return ::core::result::Result::Ok(());
            }
            ::eventsource_runtime::__private::unknown(__es_stored)
        }
        fn is_fault(
            __es_error: &<Self as ::eventsource_runtime::Aggregate>::Error,
        ) -> ::core::primitive::bool {
            OrderError::is_fault(__es_error)
        }
    }
};
/// The events of [`Order`], in the order in which they are listed there.
#[derive(Clone, Debug)]
#[allow(
    clippy::enum_variant_names,
    clippy::large_enum_variant,
    clippy::derive_partial_eq_without_eq,
)]
#[allow(private_interfaces, rustdoc::private_intra_doc_links)]
pub(crate) enum OrderFact {
    /// See [`OrderPlaced`].
    OrderPlaced(OrderPlaced),
    /// See [`OrderShipped`](shipping::OrderShipped).
    OrderShipped(shipping::OrderShipped),
}
