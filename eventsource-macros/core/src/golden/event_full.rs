const _: () = {
    #[automatically_derived]
    impl facade::eventsource::Event for OrderShipped {
        const NAME: &'static ::core::primitive::str = "shipped";
        const VERSION: ::core::primitive::u32 = 3u32;
        const ALIASES: &'static [&'static ::core::primitive::str] = &["sent", "posted"];
        const UPCASTS: &'static [(
            ::core::primitive::u32,
            facade::eventsource::Upcast,
        )] = &[(1u32, from_v1), (2u32, old::from_v2)];
        fn attributes(
            &self,
            __es_attributes: &mut facade::eventsource::__private::Attributes,
        ) {
            facade::eventsource::__private::Attributes::each(
                __es_attributes,
                &["order.carrier", "weight"],
                &mut facade::eventsource::__private::ByPlace(|__es_place, __es_slot| match __es_place {
                    0 => {
                        facade::eventsource::__private::record_field(
                            __es_slot,
                            &self.carrier,
                        )
                    }
                    _ => {
                        facade::eventsource::__private::record_field(
                            __es_slot,
                            &self.weight,
                        )
                    }
                }),
            );
        }
    }
    #[automatically_derived]
    impl facade::eventsource::__private::HasSensitive<
        { facade::eventsource::__private::field("tracking") },
    > for OrderShipped {}
    #[automatically_derived]
    impl facade::eventsource::__private::HasSensitive<
        { facade::eventsource::__private::WHOLE },
    > for OrderShipped {}
};
