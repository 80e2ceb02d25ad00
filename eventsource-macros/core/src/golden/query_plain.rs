const _: () = {
    #[automatically_derived]
    impl ::eventsource_runtime::Query for OrdersByStatus {
        const NAME: &'static ::core::primitive::str = "OrdersByStatus";
        type Output = Vec<OrderView>;
        type Error = ::core::convert::Infallible;
        fn result_count(
            __es_answer: &Vec<OrderView>,
        ) -> ::core::option::Option<::core::primitive::usize> {
            use ::eventsource_runtime::__private::probe::list::*;
            (&&::eventsource_runtime::__private::Answer(__es_answer)).__es_count()
        }
        fn to_json(
            __es_answer: &Vec<OrderView>,
        ) -> ::core::option::Option<
            ::eventsource_runtime::__private::serde_json::Result<
                ::eventsource_runtime::__private::serde_json::Value,
            >,
        > {
            use ::eventsource_runtime::__private::probe::json::*;
            (&&::eventsource_runtime::__private::Answer(__es_answer)).__es_json()
        }
        fn attributes(
            &self,
            __es_attributes: &mut ::eventsource_runtime::__private::Attributes,
        ) {
            ::eventsource_runtime::__private::Attributes::each(
                __es_attributes,
                &["status"],
                &mut ::eventsource_runtime::__private::ByPlace(|_, __es_slot| ::eventsource_runtime::__private::record_field(
                    __es_slot,
                    &self.status,
                )),
            );
        }
    }
};
