async fn send<'a, T: Debug, const N: usize>(
    value: &'a T,
) -> Result<[&'a T; N], impl Error>
where
    T: Sync,
{
    static __ES_SITE: ::eventsource_runtime::__private::Site = ::eventsource_runtime::__private::Site {
        name: "generic",
        kind: ::eventsource_runtime::__private::Kind::Internal,
        attributes: &[],
    };
    let __es_span = ::eventsource_runtime::__private::start(
        ::eventsource_runtime::__private::may_be_on(),
        &__ES_SITE,
        &mut |_| (),
        &mut |__es_attributes| {
            ::eventsource_runtime::__private::Attributes::with(
                __es_attributes,
                "value",
                &mut |__es_slot| ::eventsource_runtime::__private::Slot::debug(
                    __es_slot,
                    &value,
                ),
            );
        },
    );
    let __es_body = async move {
        if false {
            return ::eventsource_runtime::__private::never::<Result<[&'a T; N], _>>();
        }
        { work(value)? }
    };
    match ::eventsource_runtime::__private::Span::if_on(__es_span) {
        ::core::option::Option::None => __es_body.await,
        ::core::option::Option::Some(__es_span) => {
            ::eventsource_runtime::__private::traced(
                    __es_span,
                    __es_body,
                    |__es_returned, __es_outcome| {
                        {
                            #[allow(unused_imports)]
                            use ::eventsource_runtime::__private::{
                                ReturnedDebug as _, ReturnedResult as _, ReturnedValue as _,
                            };
                            (&&&::eventsource_runtime::__private::Returned(
                                __es_returned,
                            ))
                                .outcome(__es_outcome);
                        }
                    },
                )
                .await
        }
    }
}
