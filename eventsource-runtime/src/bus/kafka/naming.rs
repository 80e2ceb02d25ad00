//! The names that brokers take, and that collide with no others.

use crate::bus::error::BusError;

/// The longest name that a topic may have, in bytes.
const LONGEST_NAME: usize = 249;

/// Refuses what cannot be a topic's name; those of dead letters contain the group's.
pub(super) fn check_name(topic: &str) -> Result<(), BusError> {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !topic.is_empty() && topic.len() <= LONGEST_NAME && topic.bytes().all(is_fine) {
        return Ok(());
    }
    let told = format!(
        "`{topic}` cannot be a topic's name: {LONGEST_NAME} letters, digits, dots, hyphens and underscores at most"
    );
    Err(BusError::Configuration(told.into()))
}

/// Refuses a group that brokers, which know it by the topic's name and its own joined by a dot, would confuse with
/// another: `mail` of the topic `shop.orders`, and `orders.mail` of `shop`. To retry a group's dead letters, `dead` is
/// added to its name.
pub(super) fn check_group(group: &str) -> Result<(), BusError> {
    if !group.contains('.') && group != "dead" {
        return Ok(());
    }
    let told = format!(
        "`{group}` cannot be a group name on Kafka: it could collide with a group of another topic; write it without \
         dots (hyphens are fine), and do not call it `dead`"
    );
    Err(BusError::Configuration(told.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_has_a_name_that_brokers_take() {
        for name in ["", "order s", "orders/1", "é", &"o".repeat(250)] {
            assert!(check_name(name).is_err(), "{name}");
        }
        check_name(&"o".repeat(249)).unwrap();
    }

    /// Those of two buses shared their offsets and their dead letters.
    #[test]
    fn a_group_has_a_name_that_is_no_others() {
        for name in ["orders.mail", ".mail", "mail.", "dead"] {
            let error = check_group(name).unwrap_err();
            assert!(matches!(&error, BusError::Configuration(told) if told.contains("without dots")), "{error:?}");
        }
        for name in ["orders-mail", "deadline"] {
            check_group(name).unwrap();
        }
    }
}
