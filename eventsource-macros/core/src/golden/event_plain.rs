const _: () = {
    #[automatically_derived]
    impl ::eventsource_runtime::Event for OrderPlaced {
        const NAME: &'static ::core::primitive::str = "OrderPlaced";
    }
};
