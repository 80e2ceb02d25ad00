//! Names of methods' spans: the type in snake case, a dot, the method. An attribute macro on a method cannot see the
//! type, so the name is joined at the first call and cached.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::sync::RwLock;

/// One entry per traced method and type; there are as many as the program has.
static NAMES: LazyLock<RwLock<HashMap<(&'static str, &'static str), &'static str>>> = LazyLock::new(RwLock::default);

pub(super) fn joined(type_name: &'static str, method: &'static str) -> &'static str {
    let key = (type_name, method);
    if let Some(name) = NAMES.read().get(&key) {
        return name;
    }
    let name = format!("{}.{method}", snake_case(bare(type_name)));
    NAMES.write().entry(key).or_insert_with(|| name.leak())
}

/// What may precede the first path in the name of a type that has none of its own.
const BEFORE: [&str; 8] = ["&", "mut ", "*const ", "*mut ", "dyn ", "[", "(", "<"];

/// The last segment of the first path in a type's name, without its parameters; the whole name if it has no path.
fn bare(type_name: &str) -> &str {
    let mut rest = type_name;
    while let Some(shorter) = BEFORE.iter().find_map(|before| rest.strip_prefix(before)) {
        rest = shorter;
    }
    let is_path = |character: char| character.is_alphanumeric() || matches!(character, '_' | ':');
    let path = rest.split(|character| !is_path(character)).next().unwrap_or_default();
    path.rsplit("::").find(|segment| !segment.is_empty()).unwrap_or(type_name)
}

/// A word begins at a capital, or at the last of several that small letters follow: `HTTPClient` is `http_client`.
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
    use std::any::type_name;

    use super::*;

    #[test]
    fn a_method_is_named_after_its_type() {
        assert_eq!(joined("shop::NotificationService<alloc::string::String>", "send"), "notification_service.send");
        assert_eq!(joined("shop::http::HTTPClient", "get"), "http_client.get");
    }

    fn save_of<T: ?Sized>() -> &'static str {
        joined(type_name::<T>(), "save")
    }

    trait Store {}
    struct Row;

    /// As the compiler writes them.
    #[test]
    fn a_type_without_a_path_is_named_after_the_first_path_in_it() {
        let stores = [save_of::<dyn Store>(), save_of::<&(dyn Store + Send + Sync)>()];
        assert_eq!(stores, ["store.save"; 2]);
        let rows = [save_of::<[Row]>(), save_of::<[Row; 2]>(), save_of::<(Row, u8)>(), save_of::<&mut &[(Row,)]>()];
        assert_eq!(rows, ["row.save"; 4]);
        assert_eq!([save_of::<*const Row>(), save_of::<*mut Row>()], ["row.save"; 2]);
        // Of a type within a trait's method.
        assert_eq!(joined("<shop::Row as shop::Save>::all::Local<u8>", "save"), "row.save");
        assert_eq!(save_of::<()>(), "().save");
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
