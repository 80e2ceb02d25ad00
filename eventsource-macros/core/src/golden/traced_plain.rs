fn send() {
    static __ES_SITE: ::eventsource_runtime::__private::Site = ::eventsource_runtime::__private::Site::new(
        "send",
        ::eventsource_runtime::__private::Kind::Internal,
        &[],
        &[],
    );
    let __es_body = ::eventsource_runtime::__private::once::<
        (),
        _,
    >(move || -> _ {
        work();
    });
    if ::eventsource_runtime::__private::Site::may_be_on(&__ES_SITE) {
        ::eventsource_runtime::__private::run(
            &__ES_SITE,
            ::core::option::Option::None,
            &mut (),
            &{ __es_body },
            {
                use ::eventsource_runtime::__private::probe::told::*;
                ::eventsource_runtime::__private::told::<()>().__es_by()
            },
        )
    } else {
        __es_body()
    }
}
