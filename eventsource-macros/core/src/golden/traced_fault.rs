fn take(cents: u64) -> Result<(), CardError> {
    static __ES_SITE: ::eventsource_runtime::__private::Site = ::eventsource_runtime::__private::Site::new(
        "take",
        ::eventsource_runtime::__private::Kind::Internal,
        &[],
        &[],
    );
    let __es_body = ::eventsource_runtime::__private::once::<
        Result<(), CardError>,
        _,
    >(move || -> _ { charge(cents) });
    if ::eventsource_runtime::__private::Site::may_be_on(&__ES_SITE) {
        ::eventsource_runtime::__private::run(
            &__ES_SITE,
            ::core::option::Option::None,
            &mut (),
            &{ __es_body },
            ::eventsource_runtime::__private::faults(
                ::eventsource_runtime::__private::told::<Result<(), CardError>>(),
                {
                    use ::eventsource_runtime::__private::probe::told::*;
                    ::eventsource_runtime::__private::told::<Result<(), CardError>>()
                        .__es_by()
                },
                |error| !matches!(error, CardError::Declined),
            ),
        )
    } else {
        __es_body()
    }
}
