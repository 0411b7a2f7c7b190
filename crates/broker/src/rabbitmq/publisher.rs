//! Publishes with confirms. One task owns the channel, the window and everything that is not confirmed; whatever breaks,
//! what was not confirmed is published again under the same id, so a message may come twice and is never lost.
//!
//! lapin attaches a returned message to whichever confirm completes next, so a return is matched by the id inside it, and
//! nothing counts as taken before every return that came earlier was seen.

use super::lanes::Lane;
use super::link::Link;
use super::progress::Progress;
use super::topology::{self, Failure, QueueSpec};
use super::wire;
use crate::{Error, Message};
use futures_util::FutureExt;
use lapin::message::BasicReturnMessage;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation, Connection};
use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// How often a channel is looked at although it told nothing.
const LOOK: Duration = Duration::from_secs(1);

type Confirm = Pin<Box<dyn Future<Output = lapin::Result<Confirmation>> + Send>>;

/// What a caller wants published.
pub(crate) struct Wanted {
    pub(crate) queue: Arc<QueueSpec>,
    pub(crate) messages: Vec<Message>,
    pub(crate) done: oneshot::Sender<Result<(), Error>>,
}

/// One message with the call it belongs to.
struct Item {
    call: u64,
    message: Arc<Message>,
}

/// A call of `publish`.
struct Call {
    left: usize,
    returned: Vec<String>,
    done: oneshot::Sender<Result<(), Error>>,
}

struct UnderWay {
    queue: usize,
    item: Item,
    confirm: Confirm,
}

/// One queue that something was published to.
struct Target {
    spec: Arc<QueueSpec>,
    lane: Lane<Item>,
    /// On the present connection.
    declared: bool,
}

pub(crate) struct Publisher {
    link: Arc<Link>,
    window: usize,
    wanted: mpsc::Receiver<Wanted>,
    targets: Vec<Target>,
    calls: HashMap<u64, Call>,
    next_call: u64,
    under_way: VecDeque<UnderWay>,
    /// Ids that came back on this channel and whose own confirm was not seen yet.
    returned: HashSet<String>,
    /// Nobody can ask for anything any more.
    over: bool,
    progress: Arc<Progress>,
}

/// Why a turn ended.
enum Turn {
    /// The channel or its connection is gone.
    Lost,
    /// Nobody asks any more, and everything was answered.
    Over,
}

impl Publisher {
    /// Starts the task; it ends with its last caller.
    pub(crate) fn start(link: Arc<Link>, window: usize) -> (mpsc::Sender<Wanted>, Arc<Progress>) {
        let (sender, wanted) = mpsc::channel(64);
        let progress = Arc::new(Progress::default());
        let publisher = Self {
            link,
            window: window.max(1),
            wanted,
            targets: Vec::new(),
            calls: HashMap::new(),
            next_call: 0,
            under_way: VecDeque::new(),
            returned: HashSet::new(),
            over: false,
            progress: Arc::clone(&progress),
        };
        tokio::spawn(publisher.run());
        (sender, progress)
    }

    async fn run(mut self) {
        let mut delays = super::link::backoff();
        while let Some(connection) = self.link.up().await {
            let link = Arc::clone(&self.link);
            let turn = tokio::select! {
                turn = self.on(&connection) => turn,
                () = link.lost(&connection) => Turn::Lost,
            };
            match turn {
                Turn::Lost => {
                    self.take_back();
                    // A channel can be refused on a connection that stands.
                    if connection.status().connected() {
                        tokio::time::sleep(delays.next().unwrap_or_default()).await;
                    } else {
                        delays = super::link::backoff();
                    }
                }
                Turn::Over => return,
            }
        }
        // Dropping the calls tells each caller that the queue is closed.
    }

    /// Works on one channel until it is lost.
    async fn on(&mut self, connection: &Connection) -> Turn {
        self.targets.iter_mut().for_each(|t| t.declared = false);
        self.returned.clear();
        let Ok(channel) = connection.create_channel().await else {
            return Turn::Lost;
        };
        if channel.confirm_select(ConfirmSelectOptions::default()).await.is_err() {
            return Turn::Lost;
        }
        let channel = Arc::new(channel);
        // A channel may fall alone, and in that moment lapin may leave a confirm without an answer.
        let mut look = tokio::time::interval(LOOK);
        loop {
            if self.declare(connection).await.is_err() || !channel.status().connected() {
                return Turn::Lost;
            }
            self.fill(&channel);
            let rest = self.targets.iter().filter_map(|t| t.lane.rests_until()).min();
            let rested = async {
                match rest {
                    Some(until) => tokio::time::sleep_until(until.into()).await,
                    None => std::future::pending().await,
                }
            };
            let waiting: usize = self.targets.iter().map(|t| t.lane.waiting()).sum();
            if self.over && self.under_way.is_empty() && waiting == 0 {
                return Turn::Over;
            }
            let taking = !self.over && waiting < 2 * self.window;
            let first = self.under_way.front_mut().map(|u| &mut u.confirm);
            let confirmed = async {
                match first {
                    Some(confirm) => confirm.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                result = confirmed => {
                    if self.settle(&channel, result).is_err() {
                        return Turn::Lost;
                    }
                }
                wanted = self.wanted.recv(), if taking => match wanted {
                    Some(wanted) => self.take(wanted),
                    None => self.over = true,
                },
                () = rested => {}
                _ = look.tick() => {}
            }
        }
    }

    /// Takes a call in.
    fn take(&mut self, wanted: Wanted) {
        let Wanted { queue, messages, done } = wanted;
        if messages.is_empty() {
            done.send(Ok(())).ok();
            return;
        }
        let index = match self.targets.iter().position(|t| t.spec == queue) {
            Some(index) => index,
            None => {
                self.targets.push(Target { spec: queue, lane: Lane::new(self.window), declared: false });
                self.targets.len() - 1
            }
        };
        let call = self.next_call;
        self.next_call += 1;
        self.calls.insert(call, Call { left: messages.len(), returned: Vec::new(), done });
        if let Some(target) = self.targets.get_mut(index) {
            for message in messages {
                target.lane.push(Item { call, message: Arc::new(message) });
            }
        }
    }

    /// Declares the queues that something waits for and that are not known to be there.
    async fn declare(&mut self, connection: &Connection) -> Result<(), ()> {
        for target in self.targets.iter_mut().filter(|t| !t.declared && t.lane.waiting() > 0) {
            match topology::declare(connection, &target.spec).await {
                Ok(()) => target.declared = true,
                Err(Failure::Lost) => return Err(()),
                Err(Failure::Wrong(error)) => {
                    for item in target.lane.drain() {
                        if let Some(call) = self.calls.remove(&item.call) {
                            call.done.send(Err(error.clone())).ok();
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Sends as much as the window and the lanes allow.
    fn fill(&mut self, channel: &Arc<Channel>) {
        let now = Instant::now();
        let before = self.under_way.len();
        for (queue, target) in self.targets.iter_mut().enumerate() {
            while self.under_way.len() < self.window {
                let Some(item) = target.lane.next(now) else {
                    break;
                };
                // The caller went away, or its call has failed already.
                if self.calls.get(&item.call).is_none_or(|c| c.done.is_closed()) {
                    target.lane.dropped();
                    self.calls.remove(&item.call);
                    continue;
                }
                let mut confirm = send(channel, &target.spec.name, &item.message);
                // The first look hands the frames over, in this order. It cannot be confirmed yet, but it may have failed.
                if let Some(result) = (&mut confirm).now_or_never() {
                    confirm = Box::pin(std::future::ready(result));
                }
                self.under_way.push_back(UnderWay { queue, item, confirm });
            }
        }
        if self.under_way.len() > before {
            self.progress.sent(now);
        }
    }

    /// The first under way has its answer; so may have others behind it. Fails when the channel is lost.
    fn settle(&mut self, channel: &Channel, first: lapin::Result<Confirmation>) -> Result<(), ()> {
        let mut answered = Vec::new();
        let mut lost = false;
        let mut result = Some(first);
        loop {
            while let Some(confirmation) = result.take() {
                let Some(UnderWay { queue, item, confirm }) = self.under_way.pop_front() else {
                    break;
                };
                match confirmation {
                    Ok(confirmation) => {
                        let taken = confirmation.is_ack();
                        self.returned.extend(confirmation.take_message().map(|m| id_of(&m)));
                        answered.push((queue, item, taken));
                    }
                    Err(_) => {
                        self.under_way.push_front(UnderWay { queue, item, confirm });
                        lost = true;
                        break;
                    }
                }
                result = self.under_way.front_mut().and_then(|u| (&mut u.confirm).now_or_never());
            }
            // lapin settles a run of confirms under one lock, and this looks behind that lock: a return that belongs to one
            // of the above was attached by now, to one of the above or to the next.
            if let Some(Ok(more)) = channel.wait_for_confirms().now_or_never() {
                self.returned.extend(more.iter().map(id_of));
            }
            if lost {
                break;
            }
            result = self.under_way.front_mut().and_then(|u| (&mut u.confirm).now_or_never());
            if result.is_none() {
                break;
            }
        }
        self.conclude(answered);
        if lost { Err(()) } else { Ok(()) }
    }

    fn conclude(&mut self, answered: Vec<(usize, Item, bool)>) {
        let now = Instant::now();
        if !answered.is_empty() {
            self.progress.answered(!self.under_way.is_empty(), now);
        }
        let mut refused: HashMap<usize, Vec<Item>> = HashMap::new();
        for (queue, item, taken) in answered {
            let Some(target) = self.targets.get_mut(queue) else {
                continue;
            };
            let came_back = !self.returned.is_empty() && self.returned.remove(&item.message.id);
            if !taken && !came_back {
                refused.entry(queue).or_default().push(item);
                continue;
            }
            if came_back {
                target.declared = false;
                target.lane.dropped();
            } else {
                if target.lane.full_since().is_some() {
                    self.progress.roomy(&target.spec.name);
                }
                target.lane.taken(self.window);
            }
            let Some(call) = self.calls.get_mut(&item.call) else {
                continue;
            };
            call.left = call.left.saturating_sub(1);
            if came_back {
                call.returned.push(item.message.id.clone());
            }
            if call.left == 0
                && let Some(call) = self.calls.remove(&item.call)
            {
                let unroutable = |ids| Error::Unroutable { queue: target.spec.name.clone(), ids };
                let answer = if call.returned.is_empty() { Ok(()) } else { Err(unroutable(call.returned)) };
                call.done.send(answer).ok();
            }
        }
        for (queue, items) in refused {
            if let Some(target) = self.targets.get_mut(queue) {
                target.lane.refused(items, now);
                self.progress.full(&target.spec.name, now);
            }
        }
    }

    /// Puts what was under way back in front of what waits.
    fn take_back(&mut self) {
        let mut by_queue: HashMap<usize, Vec<Item>> = HashMap::new();
        self.progress.answered(false, Instant::now());
        for UnderWay { queue, item, .. } in self.under_way.drain(..) {
            by_queue.entry(queue).or_default().push(item);
        }
        for (queue, items) in by_queue {
            if let Some(target) = self.targets.get_mut(queue) {
                target.lane.lost(items);
            }
        }
    }
}

fn id_of(message: &BasicReturnMessage) -> String {
    message.properties.message_id().as_ref().map_or_else(String::new, ToString::to_string)
}

fn send(channel: &Arc<Channel>, queue: &str, message: &Arc<Message>) -> Confirm {
    let (channel, message) = (Arc::clone(channel), Arc::clone(message));
    let queue = queue.into();
    Box::pin(async move {
        // Ids were checked when the message was taken in.
        let properties = wire::properties(&message).unwrap_or_default();
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        channel.basic_publish("".into(), queue, options, &message.body, properties).await?.await
    })
}
