impl Order {
    #[allow(
        clippy::needless_pass_by_value,
        clippy::unused_async,
        clippy::unused_self,
        clippy::unnecessary_wraps,
        clippy::trivially_copy_pass_by_ref,
    )]
    fn place(&self, command: PlaceOrder) -> Result<OrderPlaced, OrderError> {
        todo!()
    }
}
const _: () = {
    #[automatically_derived]
    impl ::eventsource_runtime::Handlers for Order
    where
        Order: ::eventsource_runtime::Aggregate,
        PlaceOrder: ::eventsource_runtime::Command<Aggregate = Self>,
    {
        type Services = ();
        fn register<__EsRegistry: ::eventsource_runtime::Registry<Self>>(
            __es_registry: &mut __EsRegistry,
        ) {
            <__EsRegistry as ::eventsource_runtime::Registry<
                Self,
            >>::command::<PlaceOrder>(__es_registry);
        }
    }
    #[automatically_derived]
    impl ::eventsource_runtime::Handle<PlaceOrder> for Order
    where
        Order: ::eventsource_runtime::Aggregate,
        PlaceOrder: ::eventsource_runtime::Command<Aggregate = Self>,
    {
        async fn handle(
            &self,
            __es_command: PlaceOrder,
            _: &(),
        ) -> ::core::result::Result<
            ::eventsource_runtime::__private::Vec<
                <Self as ::eventsource_runtime::Aggregate>::Event,
            >,
            <Self as ::eventsource_runtime::Aggregate>::Error,
        > {
            ::eventsource_runtime::Decision::<
                <Self as ::eventsource_runtime::Aggregate>::Event,
                <Self as ::eventsource_runtime::Aggregate>::Error,
            >::decide(Self::place(self, __es_command))
        }
    }
};
