//! A message of ours as AMQP properties, and back. What the broker adds by itself (`x-death` and its like) is never
//! carried on: a message that keeps it is dropped without a word when it expires a second time on the same way.

use crate::Message;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};

/// The longest id or header name: AMQP's short string.
const SHORT_BYTES: usize = 255;

/// Kept through a restart of the broker.
const PERSISTENT: u8 = 2;

/// Headers that the broker writes.
const BROKERS_OWN: [&str; 3] = ["x-death", "x-first-death-", "x-last-death-"];

fn short(text: &str) -> Option<ShortString> {
    ShortString::try_new(text).ok()
}

/// The properties of a message; absent when its id is longer than 255 bytes.
pub(crate) fn properties(message: &Message) -> Option<BasicProperties> {
    let mut properties =
        BasicProperties::default().with_delivery_mode(PERSISTENT).with_message_id(short(&message.id)?);
    if !message.headers.is_empty() {
        let mut table = FieldTable::default();
        for (name, value) in &message.headers {
            // Names are ours and short; one that is not is left out.
            if let Some(name) = short(name).filter(|n| carried(n.as_str())) {
                table.insert(name, AMQPValue::LongString(LongString::from(value.as_str())));
            }
        }
        properties = properties.with_headers(table);
    }
    Some(properties)
}

/// The message of a delivery. An id that is missing is empty: what it means is for the reader of the body.
pub(crate) fn message(properties: &BasicProperties, body: Vec<u8>) -> Message {
    let id = properties.message_id().as_ref().map_or("", ShortString::as_str).to_owned();
    let mut message = Message::new(id, body);
    for (name, value) in properties.headers().iter().flat_map(FieldTable::inner) {
        if let AMQPValue::LongString(text) = value
            && carried(name.as_str())
        {
            message.headers.insert(name.as_str().to_owned(), text.to_string());
        }
    }
    message
}

fn carried(name: &str) -> bool {
    name.len() <= SHORT_BYTES && !BROKERS_OWN.iter().any(|own| name.starts_with(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_as_it_went_without_what_the_broker_adds() {
        let mut sent = Message::new("run/user".to_owned(), vec![1, 2]);
        sent.headers.insert("traceparent".to_owned(), "00-ab-cd-01".to_owned());
        let properties = properties(&sent).unwrap();
        assert_eq!(properties.delivery_mode(), &Some(PERSISTENT));
        let mut table = properties.headers().clone().unwrap();
        table.insert("x-first-death-reason".into(), AMQPValue::LongString("expired".into()));
        table.insert("x-delivery-count".into(), AMQPValue::LongLongInt(3));
        assert_eq!(message(&properties.with_headers(table), vec![1, 2]), sent);
    }

    #[test]
    fn an_id_that_amqp_cannot_carry_is_refused() {
        assert!(properties(&Message::new("x".repeat(256), vec![])).is_none());
    }
}
