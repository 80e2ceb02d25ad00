const _: () = {
    #[automatically_derived]
    impl<T: Clone> ::eventsource_runtime::Event for Noted<T>
    where
        Self: ::eventsource_runtime::__private::serde::Serialize + ::core::marker::Sync
            + ::eventsource_runtime::__private::serde::de::DeserializeOwned
            + ::core::marker::Send + 'static,
    {
        const NAME: &'static ::core::primitive::str = "Noted";
        fn attributes(
            &self,
            __es_attributes: &mut ::eventsource_runtime::__private::Attributes,
        ) {
            ::eventsource_runtime::__private::Attributes::each(
                __es_attributes,
                &["note"],
                &mut ::eventsource_runtime::__private::ByPlace(|_, __es_slot| ::eventsource_runtime::__private::record_field(
                    __es_slot,
                    &self.0,
                )),
            );
        }
    }
};
