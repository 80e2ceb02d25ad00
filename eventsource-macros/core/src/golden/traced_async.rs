async fn load(id: Id) -> Order {
    static __ES_SITE: ::eventsource_runtime::__private::Site = ::eventsource_runtime::__private::Site::new(
        "load",
        ::eventsource_runtime::__private::Kind::Internal,
        &[],
        &[],
    );
    let __es_by = {
        use ::eventsource_runtime::__private::probe::told::*;
        ::eventsource_runtime::__private::told::<Order>().__es_by()
    };
    let __es_span = if ::eventsource_runtime::__private::Site::may_be_on(&__ES_SITE) {
        ::eventsource_runtime::__private::start(
            &__ES_SITE,
            ::core::option::Option::None,
            &mut (),
        )
    } else {
        ::core::option::Option::None
    };
    #[allow(clippy::async_yields_async)]
    let __es_body = async move {
        if false {
            return ::eventsource_runtime::__private::never::<Order>();
        }
        { work(id).await }
    };
    match __es_span {
        ::core::option::Option::None => {
            ::eventsource_runtime::__private::forget(__es_span);
            __es_body.await
        }
        ::core::option::Option::Some(_) => {
            ::eventsource_runtime::__private::traced(__es_span, __es_body, __es_by).await
        }
    }
}
