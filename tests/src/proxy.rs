//! A TCP proxy between the product and a server, for what a network does to connections.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
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
    /// Both ends of every connection since the last cut.
    open: Vec<(TcpStream, TcpStream)>,
    /// Bytes towards the server that still pass before everything is cut.
    budget: Option<usize>,
    is_refusing: bool,
    is_paused: bool,
    is_over: bool,
    cuts: usize,
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
        self.line.lock().budget = Some(bytes);
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
        for (near, far) in self.open.drain(..) {
            // Both fail only when the other side was faster.
            drop(near.shutdown(Shutdown::Both));
            drop(far.shutdown(Shutdown::Both));
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
            state.open.push((again(&near), again(&far)));
            let (up, down) = (Arc::clone(self), Arc::clone(self));
            let (near_out, far_in) = (again(&near), again(&far));
            std::thread::spawn(move || up.pass(near, far, true));
            std::thread::spawn(move || down.pass(far_in, near_out, false));
        }
    }

    /// Passes bytes on one way until either side ends.
    fn pass(&self, mut from: TcpStream, mut to: TcpStream, is_up: bool) {
        let mut bytes = vec![0; 16 * 1024];
        while let Ok(length) = from.read(&mut bytes)
            && length > 0
        {
            let mut state = self.lock();
            while state.is_paused {
                state = self.changed.wait(state).expect("the proxy's state");
            }
            let allowed = state.budget.filter(|_| is_up).map_or(length, |budget| budget.min(length));
            let is_cut = match state.budget.as_mut().filter(|_| is_up) {
                Some(budget) => {
                    *budget -= allowed;
                    *budget == 0
                }
                None => false,
            };
            drop(state);
            if to.write_all(&bytes[..allowed]).is_err() {
                break;
            }
            if is_cut {
                self.lock().cut();
            }
        }
        drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
    }
}
