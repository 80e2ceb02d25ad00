async fn send<'a, T: Debug, const N: usize>(
    value: &'a T,
) -> Result<[&'a T; N], impl Error>
where
    T: Sync,
{
    static __ES_SITE: ::eventsource_runtime::__private::Site = ::eventsource_runtime::__private::Site::new(
        "generic",
        ::eventsource_runtime::__private::Kind::Internal,
        &[],
        &["value"],
    );
    let __es_span = if ::eventsource_runtime::__private::Site::may_be_on(&__ES_SITE) {
        ::eventsource_runtime::__private::start(
            &__ES_SITE,
            ::core::option::Option::None,
            &mut ::eventsource_runtime::__private::ByPlace(move |_, __es_slot| ::eventsource_runtime::__private::Slot::debug(
                __es_slot,
                match &value {
                    __es_value => {
                        if false {
                            use ::eventsource_runtime::__private::probe::shown::*;
                            ::eventsource_runtime::__private::may_be_seen::<
                                _,
                            >((&&&&&__es_value.__es_whole()).__es_shown());
                        }
                        __es_value
                    }
                },
            )),
        )
    } else {
        ::core::option::Option::None
    };
    let __es_body = async move {
        if false {
            return ::eventsource_runtime::__private::never::<Result<[&'a T; N], _>>();
        }
        { work(value)? }
    };
    match __es_span {
        ::core::option::Option::None => {
            ::eventsource_runtime::__private::forget(__es_span);
            __es_body.await
        }
        ::core::option::Option::Some(_) => {
            ::eventsource_runtime::__private::traced_by(
                    __es_span,
                    __es_body,
                    |__es_returned, __es_outcome| {
                        ::eventsource_runtime::__private::Teller::tell(
                            &mut {
                                use ::eventsource_runtime::__private::probe::told::*;
                                ::eventsource_runtime::__private::told_of(__es_returned)
                                    .__es_by()
                            },
                            __es_returned,
                            __es_outcome,
                        );
                    },
                )
                .await
        }
    }
}
