/// Sends.
pub async fn send_email(
    &self,
    recipient: &Address,
    message: Message,
) -> Result<Id, io::Error> {
    let _ = || {
        let _: &dyn ::core::ops::Fn() = &|| {
            let _: ::core::primitive::bool = self.on;
            facade::__private::check_linked(&message.context());
            facade::__private::check_linked(&&message.cause);
            facade::__private::check(&recipient);
            facade::__private::check_display(
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
            );
            facade::__private::check_debug(
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
            );
        };
        let _: &dyn ::core::ops::Fn(&Result<Id, io::Error>) = &|__es_returned| {
            {
                let result = __es_returned;
                facade::__private::check(&result.as_ref().ok());
            }
            let _ = facade::__private::faults(
                facade::__private::told_of(__es_returned),
                facade::__private::NoResult,
                |__es_error| is_fault(__es_error),
            );
        };
    };
    { self.work(message).await }
}
