fn fetch<'a>(&self, key: &'a str) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + 'a>> {
    static __ES_SITE: ::eventsource_runtime::__private::Site = ::eventsource_runtime::__private::Site::new(
        "fetch",
        ::eventsource_runtime::__private::Kind::Internal,
        &[],
        &["key"],
    );
    let __es_span = if ::eventsource_runtime::__private::Site::may_be_on(&__ES_SITE) {
        ::eventsource_runtime::__private::start(
            &__ES_SITE,
            ::core::option::Option::Some({ ::core::any::type_name::<Self> }),
            &mut ::eventsource_runtime::__private::ByPlace(|_, __es_slot| ::eventsource_runtime::__private::Slot::record(
                __es_slot,
                &key,
            )),
        )
    } else {
        ::core::option::Option::None
    };
    ::eventsource_runtime::__private::BoxedFuture::cover_future(
        __es_span,
        move || -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + 'a>> { todo!() },
        |__es_returned, __es_outcome| {
            {
                ::eventsource_runtime::__private::Teller::tell(
                    &mut {
                        use ::eventsource_runtime::__private::probe::told::*;
                        ::eventsource_runtime::__private::told_of(__es_returned)
                            .__es_by()
                    },
                    __es_returned,
                    __es_outcome,
                );
            }
            let __es_attributes = &mut __es_outcome.attributes;
            ::eventsource_runtime::__private::Attributes::each(
                __es_attributes,
                &["size"],
                &mut ::eventsource_runtime::__private::ByPlace(|_, __es_slot| {
                    let result = __es_returned;
                    ::eventsource_runtime::__private::Slot::record(
                        __es_slot,
                        &result.len(),
                    );
                }),
            );
        },
    )
}
