//! The queues, and how they are declared. All are quorum queues, durable, bounded, and refuse what is beyond their bound;
//! all are reached by the default exchange under their own name. No queue is dead-lettered into itself.
//!
//! Nothing here is newer than RabbitMQ 3.10 or gone in 4.

use super::settings::Purpose;
use crate::Error;
use lapin::options::QueueDeclareOptions;
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{Connection, ErrorKind};
use std::time::Duration;

/// The delays there are: one queue for each, because a time to live of each message would be held up by the head of its
/// queue (rabbitmq.com/docs/ttl).
pub(crate) const RUNGS_S: [u32; 5] = [5, 30, 120, 600, 3_600];

/// One queue as we declare it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueueSpec {
    pub(crate) name: String,
    limit: u32,
    /// Where its messages go when they expire or were returned too often.
    dead_letter_to: Option<String>,
    ttl_ms: Option<u32>,
}

impl QueueSpec {
    /// The queue of a purpose. RabbitMQ 4 drops a message that was returned twenty times unless it has somewhere to go,
    /// which is to those that are parked.
    pub(crate) fn of(prefix: &str, purpose: Purpose, limit: u32) -> Self {
        let named = |purpose: Purpose| format!("{prefix}.{}", purpose.as_str());
        let dead_letter_to = match purpose {
            Purpose::Snapshot | Purpose::Work => Some(named(Purpose::Parked)),
            Purpose::Parked => None,
        };
        Self { name: named(purpose), limit, dead_letter_to, ttl_ms: None }
    }

    /// Where messages of this queue wait at least as long as `delay`, or as long as the longest.
    pub(crate) fn rung(&self, delay: Duration) -> Self {
        let [.., longest] = RUNGS_S;
        let seconds =
            RUNGS_S.into_iter().find(|s| Duration::from_secs(u64::from(*s)) >= delay).unwrap_or(longest);
        Self {
            name: format!("{}.later-{seconds}s", self.name),
            limit: self.limit,
            dead_letter_to: Some(self.name.clone()),
            ttl_ms: Some(seconds * 1_000),
        }
    }

    fn arguments(&self) -> FieldTable {
        let mut table = FieldTable::default();
        let mut put = |key: &str, value: AMQPValue| {
            table.insert(key.into(), value);
        };
        let text = |s: &str| AMQPValue::LongString(LongString::from(s));
        put("x-queue-type", text("quorum"));
        put("x-max-length", AMQPValue::LongLongInt(i64::from(self.limit)));
        put("x-overflow", text("reject-publish"));
        if let Some(target) = &self.dead_letter_to {
            put("x-dead-letter-exchange", text(""));
            put("x-dead-letter-routing-key", text(target));
            // Works with reject-publish alone; else it is silently at-most-once.
            put("x-dead-letter-strategy", text("at-least-once"));
        }
        if let Some(ttl_ms) = self.ttl_ms {
            put("x-message-ttl", AMQPValue::LongLongInt(i64::from(ttl_ms)));
        }
        table
    }
}

/// Why a declaration failed.
pub(crate) enum Failure {
    /// It cannot succeed as things are.
    Wrong(Error),
    /// The connection or the channel was lost.
    Lost,
}

/// Declares the queue, or finds that it is there as we want it. On a channel of its own, for a refusal closes it.
pub(crate) async fn declare(connection: &Connection, spec: &QueueSpec) -> Result<(), Failure> {
    let channel = connection.create_channel().await.map_err(|_| Failure::Lost)?;
    let declared = channel
        .queue_declare(spec.name.as_str().into(), QueueDeclareOptions::durable(), spec.arguments())
        .await;
    match declared {
        Ok(_) => {
            // The answer is not waited for by anyone.
            channel.close(200, "done".into()).await.ok();
            Ok(())
        }
        Err(error) => refused(connection, spec, &error).await,
    }
}

async fn refused(connection: &Connection, spec: &QueueSpec, error: &lapin::Error) -> Result<(), Failure> {
    let wrong = |why: String| Err(Failure::Wrong(Error::Topology { queue: spec.name.clone(), why }));
    let ErrorKind::ProtocolError(told) = error.kind() else {
        return Err(Failure::Lost);
    };
    match told.kind() {
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) => wrong(format!(
            "it exists with other settings ({}); give this installation another queue prefix, or, when nothing of \
             value is in it, run rabbitmqctl delete_queue {} and start again",
            told.get_message(),
            spec.name
        )),
        // A user without the right to configure may still use what somebody else declared.
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => match depth(connection, &spec.name).await {
            Ok(_) => Ok(()),
            Err(_) => wrong(
                "it does not exist and this user may not declare it; see rabbitmqctl set_permissions, or declare it \
                 with a user that may"
                    .to_owned(),
            ),
        },
        AMQPErrorKind::Soft(_) => wrong(told.get_message().to_string()),
        AMQPErrorKind::Hard(_) => Err(Failure::Lost),
    }
}

/// Messages that are ready, by a passive declaration.
pub(crate) async fn depth(connection: &Connection, queue: &str) -> Result<u32, lapin::Error> {
    let channel = connection.create_channel().await?;
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    let found = channel.queue_declare(queue.into(), options, FieldTable::default()).await?;
    channel.close(200, "done".into()).await.ok();
    Ok(found.message_count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_takes_the_first_rung_that_is_long_enough_and_the_longest_beyond() {
        let work = QueueSpec::of("p", Purpose::Work, 9);
        for (delay_ms, rung) in [
            (0, "5s"),
            (5_000, "5s"),
            (5_001, "30s"),
            (600_000, "600s"),
            (601_000, "3600s"),
            (9_999_999, "3600s"),
        ] {
            let spec = work.rung(Duration::from_millis(delay_ms));
            assert_eq!(spec.name, format!("p.work.later-{rung}"));
            assert_eq!(spec.dead_letter_to.as_deref(), Some("p.work"));
        }
    }

    #[test]
    fn no_queue_is_dead_lettered_into_itself() {
        for purpose in [Purpose::Snapshot, Purpose::Work, Purpose::Parked] {
            let spec = QueueSpec::of("p", purpose, 9);
            assert_ne!(spec.dead_letter_to.as_ref(), Some(&spec.name));
        }
    }
}
