//! Learns the server's rate from its throttles; pure.

use std::time::Duration;

pub(super) struct Estimator {
    rate: f64,
    hold: f64,
    paid: f64,
    last: f64,
    learned: Option<f64>,
}

impl Estimator {
    pub(super) fn new() -> Self {
        Self { rate: 10.0, hold: 0.0, paid: -2.0, last: 0.0, learned: None }
    }
    pub(super) fn release_at(&self, n: u32) -> Duration {
        Duration::from_secs_f64((self.paid + f64::from(n) / self.rate).max(self.hold).max(0.0))
    }
    pub(super) fn released(&mut self, now: Duration, n: u32, waited: bool) {
        let now = now.as_secs_f64();
        self.paid = (self.paid + f64::from(n) / self.rate).max(now - 20.0 / self.rate);
        if waited && self.learned.is_none() {
            self.rate *= 2f64.powf((now - self.last).min(0.25));
        }
        self.last = now;
    }
    pub(super) fn settled(
        &mut self,
        now: Duration,
        sent: Duration,
        _accepted: u32,
        rejected: u32,
        retry_after: Option<Duration>,
    ) -> Option<Duration> {
        if rejected == 0 {
            return None;
        }
        let until = now + retry_after.unwrap_or(Duration::from_secs(1));
        if sent.as_secs_f64() >= self.hold {
            self.rate /= 2.0;
            self.learned = Some(self.rate);
        }
        self.hold_until(until);
        Some(until)
    }
    pub(super) fn hold_until(&mut self, until: Duration) {
        self.hold = self.hold.max(until.as_secs_f64());
        self.paid = self.paid.max(self.hold);
    }
    pub(super) fn held_until(&self) -> Duration {
        Duration::from_secs_f64(self.hold.max(0.0))
    }
    pub(super) fn rate(&self) -> f64 {
        self.rate
    }
    pub(super) fn learned(&self) -> Option<f64> {
        self.learned
    }
    pub(super) fn restore(&mut self, rate: f64) {
        self.rate = rate;
        self.learned = Some(rate);
    }
}
