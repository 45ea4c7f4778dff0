//! A proxy in front of an S3 server that does by script what networks and stores do by chance.
//!
//! Requests go to the real server as they came, `Host` included, so that their signatures hold;
//! its answers come back as they are, but where a [`Rule`] says otherwise. All requests are kept
//! for the test to look at, with the connection they came on.
//!
//! It is for one test at a time: a thread for each connection, whole messages in memory.

mod message;

use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::s3::Access;
use message::Message;

/// No test waits longer for a server or a client.
const TIMEOUT: Duration = Duration::from_secs(120);

/// What happens to a request or to its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The server is not asked; the answer is 503 `SlowDown`.
    SlowDown,
    /// The server is not asked; the answer is 429.
    TooManyRequests,
    /// The server is not asked; the answer is 500 `InternalError`.
    InternalError,
    /// The server is not asked; the answer is 403 `InvalidObjectState`.
    Archived,
    /// The server is not asked; the answer is 412 `PreconditionFailed`.
    PreconditionFailed,
    /// The connection is closed after so many bytes of the answer's body.
    Cut(usize),
    /// The answer's body ends after so many bytes, and its length says so.
    Short(usize),
    /// The answer comes this much later.
    Late(Duration),
    /// The answer does not come; the connection stays open until the client closes it.
    Silent,
    /// The server does what it is asked to, and the connection is closed without an answer.
    Lost,
    /// The answer to a range claims to be the whole object: 200 without `Content-Range`.
    Whole,
    /// The answer to a range claims to begin one byte later than it does.
    OtherRange,
}

/// A request that the proxy has seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `GET`, `PUT` ...
    pub method: String,
    /// The path, percent-encoded, with the query.
    pub target: String,
    /// The number of its connection, from 0.
    pub connection: usize,
    /// What happened to it.
    pub fault: Option<Fault>,
    head: Message,
}

impl Seen {
    /// Returns a header; its name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }
}

/// A fault of some requests, being put together.
#[derive(Debug)]
#[must_use = "a rule without a fault does nothing"]
pub struct Rule<'a> {
    proxy: &'a FaultProxy,
    method: String,
    target: String,
    skip: usize,
    take: usize,
}

impl Rule<'_> {
    /// Leaves the first requests alone.
    pub fn skip(mut self, count: usize) -> Self {
        self.skip = count;
        self
    }

    /// Ends after so many requests; without it there is no end.
    pub fn take(mut self, count: usize) -> Self {
        self.take = count;
        self
    }

    /// Puts the rule in force. Of several that hold for a request the oldest counts.
    pub fn does(self, fault: Fault) {
        let Self { proxy, method, target, skip, take } = self;
        let standing = Standing { method, target, skip, take, fault };
        proxy.shared.state().rules.push(standing);
    }
}

/// A rule in force.
#[derive(Debug)]
struct Standing {
    method: String,
    target: String,
    skip: usize,
    take: usize,
    fault: Fault,
}

impl Standing {
    fn applies(&mut self, method: &str, target: &str) -> bool {
        if method != self.method || !target.contains(&self.target) || self.take == 0 {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.take -= 1;
        true
    }
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Standing>,
    seen: Vec<Seen>,
    /// To close them at the end.
    connections: Vec<TcpStream>,
}

#[derive(Debug)]
struct Shared {
    server: String,
    stop: AtomicBool,
    state: Mutex<State>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running proxy; gone when dropped, and its connections with it.
#[derive(Debug)]
pub struct FaultProxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    listener: Option<JoinHandle<()>>,
}

impl FaultProxy {
    /// Starts a proxy in front of a server.
    ///
    /// # Errors
    /// Where no port is free.
    pub fn start(server: &Access) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("bind the proxy")?;
        let address = listener.local_addr()?;
        let state = Mutex::default();
        let shared = Shared { server: server.host.clone(), stop: AtomicBool::new(false), state };
        let shared = Arc::new(shared);
        let accepting = Arc::clone(&shared);
        let listener = thread::Builder::new()
            .name("proxy".into())
            .spawn(move || accept(&listener, &accepting))?;
        Ok(Self { shared, address, listener: Some(listener) })
    }

    /// Returns the same identity, by way of the proxy.
    #[must_use]
    pub fn access(&self, access: &Access) -> Access {
        Access { host: self.address.to_string(), ..access.clone() }
    }

    /// Begins a rule for requests of a method whose path and query hold a text.
    pub fn on(&self, method: &str, target: &str) -> Rule<'_> {
        let (method, target) = (method.to_owned(), target.to_owned());
        Rule { proxy: self, method, target, skip: 0, take: usize::MAX }
    }

    /// Returns the requests so far, in the order of their coming.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }

    /// Returns how many connections were accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.state().connections.len()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        // The listener looks at the flag when somebody comes.
        drop(TcpStream::connect(self.address));
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads = Vec::new();
    for stream in listener.incoming() {
        if shared.stop.load(Ordering::Acquire) {
            break;
        }
        let Ok((stream, kept)) = stream.and_then(|stream| Ok((stream.try_clone()?, stream))) else {
            continue;
        };
        let number = {
            let mut state = shared.state();
            state.connections.push(kept);
            state.connections.len() - 1
        };
        let shared = Arc::clone(shared);
        threads.push(thread::spawn(move || {
            // An error is a side that has gone, or the fault that was asked for.
            let _ = serve(&stream, number, &shared);
            let _ = stream.shutdown(Shutdown::Both);
        }));
    }
    for connection in &shared.state().connections {
        let _ = connection.shutdown(Shutdown::Both);
    }
    for thread in threads {
        let _ = thread.join();
    }
}

fn serve(client: &TcpStream, number: usize, shared: &Shared) -> io::Result<()> {
    client.set_nodelay(true)?;
    client.set_read_timeout(Some(TIMEOUT))?;
    let mut requests = BufReader::new(client);
    let mut server = None;
    while let Some(request) = Message::request(&mut requests)? {
        let fault = note(&request, number, shared);
        let goes_on = answer(client, &mut server, &request, fault, &shared.server)?;
        if !goes_on || request.is_last() {
            break;
        }
    }
    Ok(())
}

fn note(request: &Message, connection: usize, shared: &Shared) -> Option<Fault> {
    let (method, target) = request.asks();
    let (method, target) = (method.to_owned(), target.to_owned());
    let mut state = shared.state();
    let mut rules = state.rules.iter_mut();
    let fault = rules.find_map(|rule| rule.applies(&method, &target).then_some(rule.fault));
    state.seen.push(Seen { method, target, connection, fault, head: request.without_body() });
    fault
}

type Server = Option<BufReader<TcpStream>>;

/// Answers one request; false where the connection is at its end.
fn answer(
    mut client: &TcpStream,
    server: &mut Server,
    request: &Message,
    fault: Option<Fault>,
    host: &str,
) -> io::Result<bool> {
    let refusal = match fault {
        Some(Fault::SlowDown) => Some(("503 Slow Down", "SlowDown")),
        Some(Fault::TooManyRequests) => Some(("429 Too Many Requests", "TooManyRequests")),
        Some(Fault::InternalError) => Some(("500 Internal Server Error", "InternalError")),
        Some(Fault::Archived) => Some(("403 Forbidden", "InvalidObjectState")),
        Some(Fault::PreconditionFailed) => Some(("412 Precondition Failed", "PreconditionFailed")),
        _ => None,
    };
    let mut answer = match refusal {
        Some((status, code)) => Message::error(status, code, request.asks().0),
        None => ask(server, request, host)?,
    };
    match fault {
        Some(Fault::Lost) => return Ok(false),
        Some(Fault::Silent) => return silence(client),
        Some(Fault::Late(delay)) => thread::sleep(delay),
        Some(Fault::Cut(at)) => {
            let whole = answer.bytes();
            let end = answer.head_len() + at.min(answer.body.len());
            client.write_all(&whole[..end])?;
            return Ok(false);
        }
        Some(Fault::Short(at)) => {
            answer.body.truncate(at);
            answer.set("Content-Length", &answer.body.len().to_string());
        }
        Some(Fault::Whole) => answer.claim_whole(),
        Some(Fault::OtherRange) => answer.shift_range(),
        _ => {}
    }
    client.write_all(&answer.bytes())?;
    Ok(true)
}

/// Waits until the client goes.
fn silence(mut client: &TcpStream) -> io::Result<bool> {
    while client.read(&mut [0; 64])? > 0 {}
    Ok(false)
}

/// Asks the server, once more on a new connection where the old one was closed meanwhile.
fn ask(server: &mut Server, request: &Message, host: &str) -> io::Result<Message> {
    if let Some(mut standing) = server.take()
        && let Ok(answer) = exchange(&mut standing, request)
    {
        *server = Some(standing);
        return Ok(answer);
    }
    let stream = TcpStream::connect(host)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut fresh = BufReader::new(stream);
    let answer = exchange(&mut fresh, request)?;
    *server = Some(fresh);
    Ok(answer)
}

fn exchange(server: &mut BufReader<TcpStream>, request: &Message) -> io::Result<Message> {
    server.get_mut().write_all(&request.bytes())?;
    Message::answer(server, request.asks().0)
}

#[cfg(test)]
mod tests;
