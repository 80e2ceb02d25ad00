async fn run(self) -> ! {
    static __ES_SITE: ::eventsource_runtime::__private::Site = ::eventsource_runtime::__private::Site::new(
        "run",
        ::eventsource_runtime::__private::Kind::Internal,
        &[],
        &[],
    );
    let __es_span = if ::eventsource_runtime::__private::Site::may_be_on(&__ES_SITE) {
        ::eventsource_runtime::__private::start_with(
            &__ES_SITE,
            &|__es_options| {
                ::eventsource_runtime::__private::Options::root(__es_options);
                ::eventsource_runtime::__private::Options::owner(
                    __es_options,
                    ::core::any::type_name::<Self>(),
                );
            },
            &mut (),
        )
    } else {
        ::core::option::Option::None
    };
    let __es_body = ::eventsource_runtime::__private::unending(async move { loop {} });
    match __es_span {
        ::core::option::Option::None => {
            ::eventsource_runtime::__private::forget(__es_span);
            __es_body.await
        }
        ::core::option::Option::Some(_) => {
            ::eventsource_runtime::__private::traced_by(__es_span, __es_body, |_, _| ())
                .await
        }
    }
}
