fn fetch<'a>(&self, key: &'a str) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + 'a>> {
    static __ES_SITE: ::eventsource_runtime::__private::Site = ::eventsource_runtime::__private::Site::new(
        "fetch",
        ::eventsource_runtime::__private::Kind::Internal,
        &[],
    );
    let __es_span = if __ES_SITE.may_be_on() {
        ::eventsource_runtime::__private::start(
            &__ES_SITE,
            &mut |__es_options| {
                ::eventsource_runtime::__private::Options::owner(
                    __es_options,
                    ::core::any::type_name::<Self>(),
                );
            },
            &mut |__es_attributes| {
                ::eventsource_runtime::__private::Attributes::record(
                    __es_attributes,
                    "key",
                    &key,
                );
            },
        )
    } else {
        ::core::option::Option::None
    };
    ::eventsource_runtime::__private::BoxedFuture::cover_future(
        __es_span,
        move || -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + 'a>> { todo!() },
        |__es_returned, __es_outcome| {
            {
                #[allow(unused_imports)]
                use ::eventsource_runtime::__private::{
                    ReturnedDebug as _, ReturnedResult as _, ReturnedValue as _,
                };
                (&&&::eventsource_runtime::__private::Returned(__es_returned))
                    .outcome(__es_outcome);
            }
            let (result, __es_attributes) = (
                __es_returned,
                &mut __es_outcome.attributes,
            );
            ::eventsource_runtime::__private::Attributes::with(
                __es_attributes,
                "size",
                &mut |__es_slot| ::eventsource_runtime::__private::Slot::record(
                    __es_slot,
                    &result.len(),
                ),
            );
        },
    )
}
