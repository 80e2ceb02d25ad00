const _: () = {
    #[automatically_derived]
    impl facade::eventsource::Query for FindOrder {
        const NAME: &'static ::core::primitive::str = "find";
        type Output = Option<OrderView>;
        type Error = read::Refused;
        fn result_count(
            __es_answer: &Option<OrderView>,
        ) -> ::core::option::Option<::core::primitive::usize> {
            use facade::eventsource::__private::probe::list::*;
            (&&facade::eventsource::__private::Answer(__es_answer)).__es_count()
        }
        fn to_json(
            __es_answer: &Option<OrderView>,
        ) -> ::core::option::Option<
            facade::eventsource::__private::serde_json::Result<
                facade::eventsource::__private::serde_json::Value,
            >,
        > {
            use facade::eventsource::__private::probe::json::*;
            (&&facade::eventsource::__private::Answer(__es_answer)).__es_json()
        }
        fn attributes(
            &self,
            __es_attributes: &mut facade::eventsource::__private::Attributes,
        ) {
            facade::eventsource::__private::Attributes::each(
                __es_attributes,
                &["order.id", "depth"],
                &mut facade::eventsource::__private::ByPlace(|__es_place, __es_slot| match __es_place {
                    0 => {
                        facade::eventsource::__private::record_field(
                            __es_slot,
                            &self.order_id,
                        )
                    }
                    _ => {
                        facade::eventsource::__private::record_field(
                            __es_slot,
                            &self.depth,
                        )
                    }
                }),
            );
        }
    }
    #[automatically_derived]
    impl facade::eventsource::__private::HasSensitive<
        { facade::eventsource::__private::field("token") },
    > for FindOrder {}
    #[automatically_derived]
    impl facade::eventsource::__private::HasSensitive<
        { facade::eventsource::__private::WHOLE },
    > for FindOrder {}
};
