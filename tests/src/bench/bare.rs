//! What the parts of the product are measured against: a publisher and a consumer that do nothing but AMQP, and a COPY of
//! rows that are there.

use anyhow::{Context, ensure};
use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::{BasicProperties, Confirmation, Connection, ConnectionProperties};
use sqlx::{Executor, PgConnection};
use std::collections::VecDeque;
use std::time::Instant;

/// The queue that the extractor publishes to, under the product's own prefix.
const QUEUE: &str = "mfa-migrate.snapshot";
/// Messages published and not yet confirmed, as many as the product allows itself.
const WINDOW: usize = 1_000;
/// Deliveries fetched ahead, and acked together.
const PREFETCH: u16 = 500;
/// Kept through a restart of the broker.
const PERSISTENT: u8 = 2;

/// The size of a message: of its id and of its body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    id: usize,
    body: usize,
}

/// What a consumer found, and how fast.
pub(crate) struct Drained {
    pub(crate) shapes: Vec<Shape>,
    pub(crate) per_s: f64,
}

/// Messages a second of publishing messages of these sizes to a new quorum queue, each confirmed.
pub(crate) async fn publish(broker: &str, shapes: &[Shape]) -> anyhow::Result<f64> {
    let connection = Connection::connect(broker, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString(LongString::from("quorum")));
    channel.queue_declare(QUEUE.into(), QueueDeclareOptions::durable(), arguments).await?;
    let bytes: Vec<u8> =
        (0..shapes.iter().map(|s| s.body).max().unwrap_or(0)).map(|n| (n % 251) as u8).collect();
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let mut under_way = VecDeque::with_capacity(WINDOW);
    let started = Instant::now();
    for (n, shape) in shapes.iter().enumerate() {
        if under_way.len() == WINDOW
            && let Some(confirm) = under_way.pop_front()
        {
            is_taken(confirm.await?)?;
        }
        let id = format!("{n:0width$}", width = shape.id);
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_message_id(ShortString::try_new(id).ok().context("an id")?);
        let body = bytes.get(..shape.body).unwrap_or_default();
        under_way.push_back(channel.basic_publish("".into(), QUEUE.into(), options, body, properties).await?);
    }
    for confirm in under_way {
        is_taken(confirm.await?)?;
    }
    let per_s = shapes.len() as f64 / started.elapsed().as_secs_f64();
    connection.close(200, "done".into()).await?;
    Ok(per_s)
}

fn is_taken(confirmation: Confirmation) -> anyhow::Result<()> {
    ensure!(confirmation.is_ack() && confirmation.take_message().is_none(), "a message was not taken");
    Ok(())
}

/// Takes everything out of the queue, acked by the hundred, and then the queue away.
pub(crate) async fn drain(broker: &str) -> anyhow::Result<Drained> {
    let connection = Connection::connect(broker, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    let found = channel.queue_declare(QUEUE.into(), passive, FieldTable::default()).await?;
    let count = usize::try_from(found.message_count())?;
    let mut shapes = Vec::with_capacity(count);
    let started = Instant::now();
    channel.basic_qos(PREFETCH, BasicQosOptions { global: false }).await?;
    let mut consumer = channel
        .basic_consume(QUEUE.into(), "".into(), BasicConsumeOptions::default(), FieldTable::default())
        .await?;
    while shapes.len() < count {
        let delivery = consumer.next().await.context("the queue ended")??;
        let id = delivery.properties.message_id().as_ref().map_or(0, |id| id.as_str().len());
        shapes.push(Shape { id, body: delivery.data.len() });
        // Half of what was fetched ahead, so that there is always something under way.
        if shapes.len().is_multiple_of(usize::from(PREFETCH / 2)) || shapes.len() == count {
            delivery.ack(BasicAckOptions { multiple: true }).await?;
        }
    }
    // An ack has no answer; that of a later call on the channel says that it was seen.
    channel.basic_qos(PREFETCH, BasicQosOptions { global: false }).await?;
    let per_s = count as f64 / started.elapsed().as_secs_f64();
    channel.queue_delete(QUEUE.into(), QueueDeleteOptions::default()).await?;
    connection.close(200, "done".into()).await?;
    Ok(Drained { shapes, per_s })
}

/// Takes the queue away with what is in it.
pub(crate) async fn delete(broker: &str) -> anyhow::Result<()> {
    let connection = Connection::connect(broker, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.queue_delete(QUEUE.into(), QueueDeleteOptions::default()).await?;
    connection.close(200, "done".into()).await?;
    Ok(())
}

/// Records a second of one binary COPY of all records and serials that are on file into tables with the same indexes.
pub(crate) async fn copy(ledger: &mut PgConnection) -> anyhow::Result<f64> {
    let mut rows = 0;
    let mut seconds = 0.0;
    for (read, make, write) in [
        (
            "COPY record TO STDOUT (FORMAT binary)",
            "CREATE TABLE bare_record (LIKE record INCLUDING ALL)",
            "COPY bare_record FROM STDIN (FORMAT binary)",
        ),
        (
            "COPY record_serial TO STDOUT (FORMAT binary)",
            "CREATE TABLE bare_record_serial (LIKE record_serial INCLUDING ALL)",
            "COPY bare_record_serial FROM STDIN (FORMAT binary)",
        ),
    ] {
        let mut bytes = Vec::new();
        let mut chunks = ledger.copy_out_raw(read).await?;
        while let Some(chunk) = chunks.next().await {
            bytes.extend_from_slice(&chunk?);
        }
        drop(chunks);
        ledger.execute(make).await?;
        let started = Instant::now();
        let mut copy = ledger.copy_in_raw(write).await?;
        copy.send(bytes).await?;
        let copied = copy.finish().await?;
        seconds += started.elapsed().as_secs_f64();
        // Serials come with their records: only these are counted.
        rows = rows.max(copied);
    }
    ledger.execute("DROP TABLE bare_record, bare_record_serial").await?;
    Ok(rows as f64 / seconds)
}
