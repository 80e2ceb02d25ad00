/// Sends.
pub async fn send_email(
    &self,
    recipient: &Address,
    message: Message,
) -> Result<Id, io::Error> {
    static __ES_SITE: facade::__private::Site = facade::__private::Site::new(
        "send_email",
        facade::__private::Kind::Client,
        &[
            ("channel", facade::__private::Literal::Text("email")),
            ("retries", facade::__private::Literal::Int(3i64)),
        ],
        &["recipient", "domain", "text"],
    );
    let __es_span = if facade::__private::Site::may_be_on(&__ES_SITE) {
        match facade::__private::disabled(
            &__ES_SITE,
            &|| {
                let __es_enabled: ::core::primitive::bool = self.on;
                __es_enabled
            },
        ) {
            ::core::option::Option::None => {
                facade::__private::start_with(
                    &__ES_SITE,
                    &|__es_options| {
                        facade::__private::Options::with(
                            __es_options,
                            &|__es_options| facade::__private::Options::parent(
                                __es_options,
                                &message.context(),
                            ),
                        );
                        facade::__private::Options::with_links(
                            __es_options,
                            &|__es_options| facade::__private::Options::links(
                                __es_options,
                                &&message.cause,
                            ),
                        );
                        facade::__private::Options::owner(
                            __es_options,
                            ::core::any::type_name::<Self>(),
                        );
                    },
                    &mut facade::__private::ByPlace(|__es_place, __es_slot| match __es_place {
                        0 => facade::__private::Slot::record(__es_slot, &recipient),
                        1 => {
                            facade::__private::Slot::display(
                                __es_slot,
                                match &recipient.domain() {
                                    __es_value => {
                                        if false {
                                            use facade::__private::probe::shown::*;
                                            facade::__private::may_be_seen::<
                                                _,
                                            >((&&&&&__es_value.__es_whole()).__es_shown());
                                        }
                                        __es_value
                                    }
                                },
                            )
                        }
                        _ => {
                            facade::__private::Slot::debug(
                                __es_slot,
                                match &&message {
                                    __es_value => {
                                        if false {
                                            use facade::__private::probe::shown::*;
                                            facade::__private::may_be_seen::<
                                                _,
                                            >((&&&&&__es_value.__es_whole()).__es_shown());
                                        }
                                        __es_value
                                    }
                                },
                            )
                        }
                    }),
                )
            }
            __es_muted => __es_muted,
        }
    } else {
        ::core::option::Option::None
    };
    let __es_body = async move {
        if false {
            return facade::__private::never::<Result<Id, io::Error>>();
        }
        { self.work(message).await }
    };
    match __es_span {
        ::core::option::Option::None => {
            facade::__private::forget(__es_span);
            __es_body.await
        }
        ::core::option::Option::Some(_) => {
            facade::__private::traced_by(
                    __es_span,
                    __es_body,
                    |__es_returned, __es_outcome| {
                        {
                            facade::__private::Teller::tell(
                                &mut facade::__private::faults(
                                    facade::__private::told_of(__es_returned),
                                    {
                                        use facade::__private::probe::told::*;
                                        facade::__private::told_of(__es_returned).__es_by()
                                    },
                                    |__es_error| is_fault(__es_error),
                                ),
                                __es_returned,
                                __es_outcome,
                            );
                        }
                        let __es_attributes = &mut __es_outcome.attributes;
                        facade::__private::Attributes::each(
                            __es_attributes,
                            &["id"],
                            &mut facade::__private::ByPlace(|_, __es_slot| {
                                let result = __es_returned;
                                facade::__private::Slot::record(
                                    __es_slot,
                                    &result.as_ref().ok(),
                                );
                            }),
                        );
                    },
                )
                .await
        }
    }
}
