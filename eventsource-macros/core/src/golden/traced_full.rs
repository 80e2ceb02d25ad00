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
    );
    let _ = || {
        #[allow(unused_imports)]
        use facade::__private::Unmarked as _;
        facade::__private::may_be_seen(
            facade::__private::Field::<Message, { facade::__private::WHOLE }>::named()
                .shown(),
        );
    };
    let __es_span = if __ES_SITE.may_be_on() {
        facade::__private::start(
            &__ES_SITE,
            &mut |__es_options| {
                facade::__private::Options::owner(
                    __es_options,
                    ::core::any::type_name::<Self>(),
                );
                facade::__private::Options::with(
                    __es_options,
                    &mut |__es_options| facade::__private::Options::enable(
                        __es_options,
                        self.on,
                    ),
                );
                facade::__private::Options::with(
                    __es_options,
                    &mut |__es_options| facade::__private::Options::parent(
                        __es_options,
                        &message.context(),
                    ),
                );
                facade::__private::Options::with(
                    __es_options,
                    &mut |__es_options| facade::__private::Options::links(
                        __es_options,
                        &&message.cause,
                    ),
                );
            },
            &mut |__es_attributes| {
                facade::__private::Attributes::record(
                    __es_attributes,
                    "recipient",
                    &recipient,
                );
                facade::__private::Attributes::with(
                    __es_attributes,
                    "domain",
                    &mut |__es_slot| facade::__private::Slot::display(
                        __es_slot,
                        &recipient.domain(),
                    ),
                );
                facade::__private::Attributes::with(
                    __es_attributes,
                    "text",
                    &mut |__es_slot| facade::__private::Slot::debug(__es_slot, &&message),
                );
            },
        )
    } else {
        ::core::option::Option::None
    };
    let __es_body = async move {
        if false {
            return facade::__private::never::<Result<Id, io::Error>>();
        }
        match () {
            () => self.work(message).await,
        }
    };
    match __es_span {
        ::core::option::Option::None => __es_body.await,
        ::core::option::Option::Some(__es_span) => {
            facade::__private::traced(
                    __es_span,
                    __es_body,
                    |__es_returned, __es_outcome| {
                        {
                            #[allow(unused_imports)]
                            use facade::__private::{
                                ReturnedDebug as _, ReturnedResult as _, ReturnedValue as _,
                            };
                            (&&&facade::__private::Returned(__es_returned))
                                .outcome(__es_outcome);
                        }
                        let (result, __es_attributes) = (
                            __es_returned,
                            &mut __es_outcome.attributes,
                        );
                        facade::__private::Attributes::with(
                            __es_attributes,
                            "id",
                            &mut |__es_slot| facade::__private::Slot::record(
                                __es_slot,
                                &result.as_ref().ok(),
                            ),
                        );
                    },
                )
                .await
        }
    }
}
