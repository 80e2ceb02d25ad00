fn numbers() -> impl Stream<Item = Result<u8, Error>> {
    static __ES_SITE: ::eventsource_runtime::__private::Site = ::eventsource_runtime::__private::Site::new(
        "numbers",
        ::eventsource_runtime::__private::Kind::Internal,
        &[],
        &[],
    );
    let __es_span = if ::eventsource_runtime::__private::Site::may_be_on(&__ES_SITE) {
        ::eventsource_runtime::__private::start(
            &__ES_SITE,
            ::core::option::Option::None,
            &mut (),
        )
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
            ::eventsource_runtime::__private::Teller::tell(
                &mut {
                    use ::eventsource_runtime::__private::probe::told::*;
                    ::eventsource_runtime::__private::told_of(__es_returned).__es_by()
                },
                __es_returned,
                __es_outcome,
            );
        },
    )
}
