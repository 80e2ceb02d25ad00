//! Names of methods' spans: the type in snake case, a dot, the method. An attribute macro on a method cannot see the
//! type, so that the name is joined at the first call and kept.

use std::collections::HashMap;
use std::sync::{LazyLock, PoisonError, RwLock};

/// One entry a traced method and type; there are as many as the program has.
static NAMES: LazyLock<RwLock<HashMap<(&'static str, &'static str), &'static str>>> = LazyLock::new(RwLock::default);

pub(super) fn joined(type_name: &'static str, method: &'static str) -> &'static str {
    let key = (type_name, method);
    if let Some(name) = NAMES.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return name;
    }
    let name = format!("{}.{method}", snake_case(bare(type_name)));
    NAMES.write().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert_with(|| name.leak())
}

/// The last segment of a type's path, without its parameters.
fn bare(type_name: &str) -> &str {
    let path = type_name.split('<').next().unwrap_or(type_name);
    path.rsplit("::").next().unwrap_or(path)
}

/// A word begins where capitals do, and at the last of several where small letters follow: `HTTPClient` is `http_client`.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    let mut before = '_';
    let mut characters = name.chars().peekable();
    while let Some(character) = characters.next() {
        let ends_capitals = before.is_uppercase() && characters.peek().is_some_and(|next| next.is_lowercase());
        let begins_word = character.is_uppercase() && (!before.is_uppercase() || ends_capitals);
        if begins_word && before != '_' {
            snake.push('_');
        }
        snake.extend(character.to_lowercase());
        before = character;
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_named_after_its_type() {
        assert_eq!(joined("shop::NotificationService<alloc::string::String>", "send"), "notification_service.send");
        assert_eq!(joined("shop::http::HTTPClient", "get"), "http_client.get");
    }

    #[test]
    fn names_of_types_are_taken_apart_at_their_words() {
        for (name, snake) in [
            ("MailService", "mail_service"),
            ("HTTPClient", "http_client"),
            ("XMLHttpRequest", "xml_http_request"),
            ("ClientOfHTTP", "client_of_http"),
            ("SMS", "sms"),
            ("OrderV2", "order_v2"),
            ("V2Order", "v2_order"),
            ("Http2Client", "http2_client"),
            ("Already_Taken_apart", "already_taken_apart"),
            ("_Hidden", "_hidden"),
            ("ÉtatCivil", "état_civil"),
            ("Événement", "événement"),
            ("A", "a"),
            ("", ""),
        ] {
            assert_eq!(snake_case(name), snake, "{name}");
        }
    }
}
