async fn run(self) -> ! {
    static __ES_SITE: ::eventsource_runtime::__private::Site = ::eventsource_runtime::__private::Site {
        name: "run",
        kind: ::eventsource_runtime::__private::Kind::Internal,
        attributes: &[],
    };
    let __es_span = ::eventsource_runtime::__private::start(
        ::eventsource_runtime::__private::may_be_on(),
        &__ES_SITE,
        &mut |__es_options| {
            ::eventsource_runtime::__private::Options::owner(
                __es_options,
                ::core::any::type_name::<Self>(),
            );
            ::eventsource_runtime::__private::Options::root(__es_options);
        },
        &mut |_| (),
    );
    let __es_body = async move { { loop {} } };
    match ::eventsource_runtime::__private::Span::if_on(__es_span) {
        ::core::option::Option::None => __es_body.await,
        ::core::option::Option::Some(__es_span) => {
            ::eventsource_runtime::__private::traced(__es_span, __es_body, |_, _| ())
                .await
        }
    };
    ::eventsource_runtime::__private::never()
}
