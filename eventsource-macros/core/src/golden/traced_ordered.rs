fn send(connection: Connection, message: Message) {
    static __ES_SITE: ::eventsource_runtime::__private::Site = ::eventsource_runtime::__private::Site::new(
        "send",
        ::eventsource_runtime::__private::Kind::Internal,
        &[],
        &[],
    );
    let __es_once = ::eventsource_runtime::__private::Once;
    let __es_call = move |__es_on: ::core::primitive::bool| -> _ {
        let _ = { __es_once };
        let __es_span = if __es_on {
            ::eventsource_runtime::__private::start(
                &__ES_SITE,
                ::core::option::Option::None,
                &mut (),
            )
        } else {
            ::core::option::Option::None
        };
        let __es_body = ::eventsource_runtime::__private::once::<
            (),
            _,
        >(move || -> _ {
            if false {
                let _ = (&message, &connection);
            }
            {
                work(&message, &connection);
            }
        });
        let __es_span = ::eventsource_runtime::__private::Running::new(__es_span);
        let __es_returned = __es_body();
        let __es_by = {
            use ::eventsource_runtime::__private::probe::told::*;
            ::eventsource_runtime::__private::told_of(&__es_returned).__es_by()
        };
        ::eventsource_runtime::__private::Running::end(__es_span, __es_returned, __es_by)
    };
    if ::eventsource_runtime::__private::Site::may_be_on(&__ES_SITE) {
        ::eventsource_runtime::__private::apart(__es_call)
    } else {
        (__es_call)(false)
    }
}
