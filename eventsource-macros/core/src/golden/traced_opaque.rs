fn all(&self) -> impl Iterator<Item = u8> {
    static __ES_SITE: ::eventsource_runtime::__private::Site = ::eventsource_runtime::__private::Site::new(
        "all",
        ::eventsource_runtime::__private::Kind::Internal,
        &[],
    );
    ::eventsource_runtime::__private::enter(
        &__ES_SITE,
        move |__es_on: bool| {
            let __es_span = if __es_on {
                ::eventsource_runtime::__private::start(
                    &__ES_SITE,
                    &mut |__es_options| {
                        ::eventsource_runtime::__private::Options::owner(
                            __es_options,
                            ::core::any::type_name::<Self>(),
                        );
                    },
                    &mut |_| (),
                )
            } else {
                ::core::option::Option::None
            };
            ::eventsource_runtime::__private::sync(
                __es_span,
                move || { self.i() },
                |_, _| (),
            )
        },
    )
}
