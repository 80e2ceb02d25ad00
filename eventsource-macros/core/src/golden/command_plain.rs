const _: () = {
    #[automatically_derived]
    impl ::eventsource_runtime::Command for ShipOrder {
        const NAME: &'static ::core::primitive::str = "ShipOrder";
        type Aggregate = Order;
        fn id(&self) -> &::eventsource_runtime::__private::IdOf<Order> {
            &self.order_id
        }
    }
};
