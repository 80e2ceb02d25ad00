fn send() {
    static __ES_SITE: ::eventsource_runtime::__private::Site = ::eventsource_runtime::__private::Site::new(
        "send",
        ::eventsource_runtime::__private::Kind::Internal,
        &[],
    );
    ::eventsource_runtime::__private::enter(
        &__ES_SITE,
        move |__es_on: bool| -> () {
            let __es_span = if __es_on {
                ::eventsource_runtime::__private::start(
                    &__ES_SITE,
                    &mut |_| (),
                    &mut |_| (),
                )
            } else {
                ::core::option::Option::None
            };
            ::eventsource_runtime::__private::sync(
                __es_span,
                move || -> () {
                    work();
                },
                |__es_returned, __es_outcome| {
                    {
                        #[allow(unused_imports)]
                        use ::eventsource_runtime::__private::{
                            ReturnedDebug as _, ReturnedResult as _, ReturnedValue as _,
                        };
                        (&&&::eventsource_runtime::__private::Returned(__es_returned))
                            .outcome(__es_outcome);
                    }
                },
            )
        },
    )
}
