fn numbers() -> impl Stream<Item = Result<u8, Error>> {
    static __ES_SITE: ::eventsource_runtime::__private::Site = ::eventsource_runtime::__private::Site::new(
        "numbers",
        ::eventsource_runtime::__private::Kind::Internal,
        &[],
        &[],
    );
    let __es_span = if ::eventsource_runtime::__private::Site::may_be_on(&__ES_SITE) {
        ::eventsource_runtime::__private::start(&__ES_SITE, &mut ())
    } else {
        ::core::option::Option::None
    };
    ::eventsource_runtime::__private::cover_stream::<
        Result<u8, Error>,
        _,
        _,
    >(
        __es_span,
        move || { todo!() },
        |__es_returned, __es_outcome| {
            use ::eventsource_runtime::__private::probe::returned::*;
            ::eventsource_runtime::__private::Returned(__es_returned)
                .__es_tell(__es_outcome);
        },
    )
}
