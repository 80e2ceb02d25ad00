fn limit(most: usize) -> (usize, impl Fn(&str) -> bool) {
    static __ES_SITE: ::eventsource_runtime::__private::Site = ::eventsource_runtime::__private::Site::new(
        "limit",
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
    let __es_held = ::eventsource_runtime::__private::held(__es_span);
    { (most, move |text| text.len() <= most) }
}
