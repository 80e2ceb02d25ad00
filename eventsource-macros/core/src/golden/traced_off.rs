/// Sends.
pub async fn send_email(
    &self,
    recipient: &Address,
    message: Message,
) -> Result<Id, io::Error> {
    let _ = || {
        let _: &mut dyn ::core::ops::FnMut() = &mut || {
            let _: ::core::primitive::bool = self.on;
            facade::__private::check_linked(&message.context());
            facade::__private::check_linked(&&message.cause);
            facade::__private::check(&recipient);
            facade::__private::check_display(&recipient.domain());
            facade::__private::check_debug(&&message);
        };
        let _: &mut dyn ::core::ops::FnMut(&Result<Id, io::Error>) = &mut |result| {
            facade::__private::check(&result.as_ref().ok());
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
