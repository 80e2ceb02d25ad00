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
            facade::__private::check_display(&recipient.domain());
            facade::__private::check_debug(&&message);
        };
        let _: &dyn ::core::ops::Fn(&Result<Id, io::Error>) = &|__es_returned| {
            {
                let result = __es_returned;
                facade::__private::check(&result.as_ref().ok());
            }
        };
    };
    let _ = || {
        use facade::__private::Unmarked as _;
        facade::__private::may_be_seen::<
            _,
        >(
            facade::__private::Field::<Message, { facade::__private::WHOLE }>::named()
                .__es_shown(),
        );
    };
    { self.work(message).await }
}
