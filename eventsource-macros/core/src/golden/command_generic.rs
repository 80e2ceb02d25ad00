const _: () = {
    #[automatically_derived]
    impl<T: Clone, const N: usize> ::eventsource_runtime::Command for TagOrder<T, N>
    where
        T: Tag,
        Self: ::core::clone::Clone + ::core::marker::Sync
            + ::eventsource_runtime::__private::serde::de::DeserializeOwned
            + ::core::marker::Send + 'static,
    {
        const NAME: &'static ::core::primitive::str = "TagOrder";
        type Aggregate = Order;
        fn id(&self) -> &::eventsource_runtime::__private::IdOf<Order> {
            &self.order_id
        }
        fn attributes(
            &self,
            __es_attributes: &mut ::eventsource_runtime::__private::Attributes,
        ) {
            ::eventsource_runtime::__private::Attributes::each(
                __es_attributes,
                &["order.tags"],
                &mut ::eventsource_runtime::__private::ByPlace(|_, __es_slot| ::eventsource_runtime::__private::record_field(
                    __es_slot,
                    &self.tags,
                )),
            );
        }
    }
};
