async fn run(self) -> ! {
    static __ES_SITE: ::eventsource_runtime::__private::Site = ::eventsource_runtime::__private::Site {
        name: "run",
        kind: ::eventsource_runtime::__private::Kind::Internal,
        attributes: &[],
    };
    let __es_span = ::eventsource_runtime::__private::start(
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
    ::eventsource_runtime::__private::traced(
            __es_span,
            async move { { loop {} } },
            |_, _| (),
        )
        .await;
    ::eventsource_runtime::__private::never()
}
