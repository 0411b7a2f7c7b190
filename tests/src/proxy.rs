//! A TCP proxy between the product and a server, for what a network does to connections.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// Passes connections on to a port of 127.0.0.1, until told otherwise; it ends with this value.
pub struct Proxy {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    line: Arc<Line>,
}

struct Line {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Every connection since the last cut.
    open: Vec<Pair>,
    /// Bytes towards the server that still pass before everything is cut.
    budget: Option<usize>,
    /// The cut is one that nobody is told of.
    is_silent: bool,
    is_refusing: bool,
    is_paused: bool,
    is_over: bool,
    cuts: usize,
}

/// Both ends of a connection.
struct Pair {
    near: TcpStream,
    far: TcpStream,
    /// Nothing passes any more, and neither end is told.
    is_silent: Arc<AtomicBool>,
}

impl Proxy {
    /// In front of a port.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let own = listener.local_addr().expect("its address").port();
        let line = Arc::new(Line { state: Mutex::default(), changed: Condvar::new() });
        let accepting = Arc::clone(&line);
        std::thread::spawn(move || accepting.accept(&listener, port));
        Self { port: own, line }
    }

    /// The same URL through this proxy.
    pub fn instead_of(&self, port: u16, url: &str) -> String {
        url.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{}", self.port))
    }

    /// Drops all connections at once; new ones pass.
    pub fn cut(&self) {
        self.line.lock().cut();
    }

    /// Drops all connections after so many more bytes towards the server, in the middle of whatever they are; once.
    pub fn cut_after_bytes(&self, bytes: usize) {
        let mut state = self.line.lock();
        (state.budget, state.is_silent) = (Some(bytes), false);
    }

    /// The same, with nobody told of it, as when a cable is pulled: what is sent on those connections gets lost, and
    /// neither end hears of the other's end. New connections pass.
    pub fn silence_after_bytes(&self, bytes: usize) {
        let mut state = self.line.lock();
        (state.budget, state.is_silent) = (Some(bytes), true);
    }

    /// How often connections were cut.
    pub fn cuts(&self) -> usize {
        self.line.lock().cuts
    }

    /// Ends new connections before their first byte, and those that are open.
    pub fn refuse(&self, refused: bool) {
        let mut state = self.line.lock();
        state.is_refusing = refused;
        if refused {
            state.cut();
        }
    }

    /// Holds bytes back in both directions; connections stay.
    pub fn pause(&self, paused: bool) {
        self.line.lock().is_paused = paused;
        self.line.changed.notify_all();
    }

    /// As at first.
    pub fn heal(&self) {
        let mut state = self.line.lock();
        (state.budget, state.is_refusing, state.is_paused) = (None, false, false);
        drop(state);
        self.line.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = self.line.lock();
        state.is_over = true;
        state.is_paused = false;
        state.cut();
        drop(state);
        self.line.changed.notify_all();
        // Wakes the one that accepts; it may be gone already.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

impl State {
    fn cut(&mut self) {
        self.cuts += 1;
        self.budget = None;
        for Pair { near, far, .. } in self.open.drain(..) {
            // Both fail only when the other side was faster.
            drop(near.shutdown(Shutdown::Both));
            drop(far.shutdown(Shutdown::Both));
        }
    }
}

impl State {
    /// The end of the budget. Silent connections stay open on both sides, until all are cut.
    fn spent(&mut self) {
        if !self.is_silent {
            return self.cut();
        }
        self.cuts += 1;
        self.budget = None;
        for pair in &self.open {
            pair.is_silent.store(true, Ordering::Relaxed);
        }
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("the proxy's state")
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener, port: u16) {
        for near in listener.incoming().flatten() {
            let mut state = self.lock();
            if state.is_over {
                return;
            }
            if state.is_refusing {
                continue;
            }
            // Nobody there: the client's connection ends as well.
            let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { continue };
            drop((near.set_nodelay(true), far.set_nodelay(true)));
            let again = |stream: &TcpStream| stream.try_clone().expect("a socket");
            let silent = Arc::new(AtomicBool::new(false));
            state.open.push(Pair { near: again(&near), far: again(&far), is_silent: Arc::clone(&silent) });
            let silent_too = Arc::clone(&silent);
            let (up, down) = (Arc::clone(self), Arc::clone(self));
            let (near_out, far_in) = (again(&near), again(&far));
            std::thread::spawn(move || up.pass(near, far, true, &silent));
            std::thread::spawn(move || down.pass(far_in, near_out, false, &silent_too));
        }
    }

    /// Passes bytes on one way until either side ends.
    fn pass(&self, mut from: TcpStream, mut to: TcpStream, is_up: bool, silent: &AtomicBool) {
        let mut bytes = vec![0; 16 * 1024];
        while let Ok(length) = from.read(&mut bytes)
            && length > 0
        {
            let mut state = self.lock();
            while state.is_paused {
                state = self.changed.wait(state).expect("the proxy's state");
            }
            if silent.load(Ordering::Relaxed) {
                continue;
            }
            let allowed = state.budget.filter(|_| is_up).map_or(length, |budget| budget.min(length));
            let is_cut = match state.budget.as_mut().filter(|_| is_up) {
                Some(budget) => {
                    *budget -= allowed;
                    *budget == 0
                }
                None => false,
            };
            if is_cut {
                // Whoever comes between this and the cut must not cut once more.
                state.budget = None;
            }
            drop(state);
            if to.write_all(&bytes[..allowed]).is_err() {
                break;
            }
            if is_cut {
                self.lock().spent();
            }
        }
        if silent.load(Ordering::Relaxed) {
            return;
        }
        drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
    }
}
