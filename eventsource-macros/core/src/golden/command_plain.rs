const _: () = {
    #[automatically_derived]
    impl ::eventsource_runtime::Command for ShipOrder {
        const NAME: &'static ::core::primitive::str = "ShipOrder";
        type Aggregate = Order;
        fn id(&self) -> &<Order as ::eventsource_runtime::Aggregate>::Id {
            &self.order_id
        }
    }
};
