impl Order {
    #[allow(
        clippy::needless_pass_by_value,
        clippy::unused_async,
        clippy::unused_self,
        clippy::unnecessary_wraps,
        clippy::trivially_copy_pass_by_ref,
    )]
    async fn place(
        &self,
        mut command: PlaceOrder,
        clock: &Clock,
    ) -> Decided<[OrderPlaced; 2]> {
        todo!()
    }
    #[allow(
        clippy::needless_pass_by_value,
        clippy::unused_async,
        clippy::unused_self,
        clippy::unnecessary_wraps,
        clippy::trivially_copy_pass_by_ref,
    )]
    #[cfg(feature = "shipping")]
    fn ship(&self, _: ShipOrder) -> Result<(), OrderError> {
        todo!()
    }
}
const _: () = {
    #[automatically_derived]
    impl facade::Handlers for Order
    where
        Order: facade::Aggregate,
    {
        type Services = Clock;
        fn register<__EsRegistry: facade::Registry<Self>>(
            __es_registry: &mut __EsRegistry,
        ) {
            <__EsRegistry as facade::Registry<
                Self,
            >>::command::<PlaceOrder>(__es_registry);
            #[cfg(feature = "shipping")]
            <__EsRegistry as facade::Registry<
                Self,
            >>::command::<ShipOrder>(__es_registry);
        }
    }
    #[automatically_derived]
    impl facade::Handle<PlaceOrder> for Order
    where
        Order: facade::Aggregate,
        PlaceOrder: facade::Command<Aggregate = Self>,
    {
        fn enable_tracing(&self, command: &PlaceOrder) -> ::core::primitive::bool {
            let _ = (&command,);
            let __es_on: ::core::primitive::bool = self.on;
            __es_on
        }
        fn attributes(
            &self,
            command: &PlaceOrder,
            clock: &Clock,
            __es_attributes: &mut facade::__private::Attributes,
        ) {
            let _ = (&clock,);
            facade::__private::Attributes::each(
                __es_attributes,
                &["order.lines", "fixed"],
                &mut facade::__private::ByPlace(|__es_place, __es_slot| match __es_place {
                    0 => facade::__private::Slot::record(__es_slot, &command.lines.len()),
                    _ => facade::__private::Slot::record(__es_slot, &1i64),
                }),
            );
            let _ = || {
                use facade::__private::probe::shown::*;
                facade::__private::may_be_seen::<
                    _,
                >(
                    facade::__private::Field::<
                        PlaceOrder,
                        { facade::__private::field("lines") },
                    >::named()
                        .__es_shown(),
                );
            };
        }
        async fn handle(
            &self,
            __es_command: PlaceOrder,
            __es_services: &Clock,
        ) -> ::core::result::Result<
            facade::__private::Vec<<Self as facade::Aggregate>::Event>,
            <Self as facade::Aggregate>::Error,
        > {
            facade::Decision::<
                <Self as facade::Aggregate>::Event,
                <Self as facade::Aggregate>::Error,
            >::decide(Self::place(self, __es_command, __es_services).await)
        }
    }
    #[cfg(feature = "shipping")]
    #[automatically_derived]
    impl facade::Handle<ShipOrder> for Order
    where
        Order: facade::Aggregate,
        ShipOrder: facade::Command<Aggregate = Self>,
    {
        async fn handle(
            &self,
            __es_command: ShipOrder,
            _: &Clock,
        ) -> ::core::result::Result<
            facade::__private::Vec<<Self as facade::Aggregate>::Event>,
            <Self as facade::Aggregate>::Error,
        > {
            facade::Decision::<
                <Self as facade::Aggregate>::Event,
                <Self as facade::Aggregate>::Error,
            >::decide(Self::ship(self, __es_command))
        }
    }
};
