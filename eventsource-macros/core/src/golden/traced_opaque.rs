fn all(&self) -> impl Iterator<Item = u8> {
    static __ES_SITE: ::eventsource_runtime::__private::Site = ::eventsource_runtime::__private::Site {
        name: "all",
        kind: ::eventsource_runtime::__private::Kind::Internal,
        attributes: &[],
    };
    ::eventsource_runtime::__private::enter(move |__es_on: bool| {
        let __es_span = ::eventsource_runtime::__private::start(
            __es_on,
            &__ES_SITE,
            &mut |__es_options| {
                ::eventsource_runtime::__private::Options::owner(
                    __es_options,
                    ::core::any::type_name::<Self>(),
                );
            },
            &mut |_| (),
        );
        ::eventsource_runtime::__private::sync(
            __es_span,
            move || { self.i() },
            |_, _| (),
        )
    })
}
