const _: () = {
    #[automatically_derived]
    impl<T> facade::Command for ShipOrder<T>
    where
        Self: ::core::clone::Clone + ::core::marker::Sync
            + facade::__private::serde::de::DeserializeOwned + ::core::marker::Send
            + 'static,
    {
        const NAME: &'static ::core::primitive::str = "ship";
        type Aggregate = Order;
        fn id(&self) -> &facade::__private::IdOf<Order> {
            &self.0
        }
        fn attributes(&self, __es_attributes: &mut facade::__private::Attributes) {
            facade::__private::Attributes::each(
                __es_attributes,
                &["order.id"],
                &mut facade::__private::ByPlace(|_, __es_slot| facade::__private::record_field(
                    __es_slot,
                    &self.0,
                )),
            );
        }
    }
    #[automatically_derived]
    impl<T> facade::__private::HasSensitive<{ facade::__private::field("1") }>
    for ShipOrder<T> {}
    #[automatically_derived]
    impl<T> facade::__private::HasSensitive<{ facade::__private::field("-1") }>
    for ShipOrder<T> {}
    #[automatically_derived]
    impl<T> facade::__private::HasSensitive<{ facade::__private::WHOLE }>
    for ShipOrder<T> {}
};
