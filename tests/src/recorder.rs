//! A recording HTTP proxy between the product and a simulated tenant: every request and every answer, as sent.
//!
//! It changes nothing but the framing of answers, unless it is told to put one text for another. An answer that the
//! tenant never gave (a dropped connection) is dropped towards the product too, and recorded as none.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A tenant that has not answered by then never will; the product hears of it as of a dropped connection.
const PATIENCE: Duration = Duration::from_secs(120);

/// Texts to put for others in bodies of answers.
type Swaps = Vec<(String, String)>;

/// One call, alone or as an item of a bundle.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// GET, POST, PATCH or DELETE.
    pub method: String,
    /// `v1.0` or `beta`.
    pub version: String,
    /// Path below the version, with a leading slash, percent-encoded as sent.
    pub path: String,
    /// Query as sent, without the question mark; empty for none.
    pub query: String,
    /// Headers of the request, names in lower case.
    pub headers: Vec<(String, String)>,
    /// JSON body of the request; null for none.
    pub body: Value,
    /// Status and JSON body of the answer; none where there was none.
    pub answer: Option<(u16, Value)>,
    /// Whether it was an item of a bundle.
    pub bundled: bool,
}

impl Exchange {
    /// A header of the request.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// A running recorder; it listens as long as the process lives.
pub struct Recorder {
    /// Its base, for the product.
    pub url: String,
    calls: Arc<Mutex<Vec<Exchange>>>,
}

impl Recorder {
    /// Records in front of a tenant.
    pub fn before(tenant_url: &str) -> Self {
        Self::swapping(tenant_url, &[])
    }

    /// Records, and puts texts for others in bodies of answers.
    pub fn swapping(tenant_url: &str, swaps: &[(&str, &str)]) -> Self {
        let upstream: SocketAddr = tenant_url.trim_start_matches("http://").parse().expect("an address");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let calls = Arc::new(Mutex::new(Vec::new()));
        let swaps: Arc<Swaps> =
            Arc::new(swaps.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect());
        let kept = Arc::clone(&calls);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (calls, swaps) = (Arc::clone(&calls), Arc::clone(&swaps));
                // A connection that breaks is the other side's business; what was heard is recorded.
                std::thread::spawn(move || serve(client, upstream, &swaps, &calls));
            }
        });
        Self { url, calls: kept }
    }

    /// Every HTTP call so far, bundles as one.
    pub fn calls(&self) -> Vec<Exchange> {
        self.calls.lock().expect("the calls").clone()
    }

    /// Every call so far, bundles unfolded into their items behind them.
    pub fn unfolded(&self) -> Vec<Exchange> {
        self.unfolded_from(0)
    }

    /// The same without the first HTTP calls.
    pub fn unfolded_from(&self, first: usize) -> Vec<Exchange> {
        self.calls()
            .into_iter()
            .skip(first)
            .flat_map(|call| {
                let items = items_of(&call);
                std::iter::once(call).chain(items)
            })
            .collect()
    }
}

/// The items of a bundle, each with its answer.
fn items_of(call: &Exchange) -> Vec<Exchange> {
    if call.path != "/$batch" {
        return Vec::new();
    }
    let answers =
        call.answer.as_ref().and_then(|(_, body)| body["responses"].as_array().cloned()).unwrap_or_default();
    let requests = call.body["requests"].as_array().cloned().unwrap_or_default();
    requests
        .iter()
        .map(|item| {
            let (path, query) = split(item["url"].as_str().unwrap_or_default());
            let headers = item["headers"].as_object().into_iter().flatten();
            Exchange {
                method: item["method"].as_str().unwrap_or_default().to_owned(),
                version: call.version.clone(),
                path,
                query,
                headers: headers
                    .map(|(n, v)| (n.to_lowercase(), v.as_str().unwrap_or_default().to_owned()))
                    .collect(),
                body: item["body"].clone(),
                answer: answers.iter().find(|a| a["id"] == item["id"]).map(|a| {
                    (a["status"].as_u64().and_then(|s| u16::try_from(s).ok()).unwrap_or(0), a["body"].clone())
                }),
                bundled: true,
            }
        })
        .collect()
}

fn split(target: &str) -> (String, String) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    (path.to_owned(), query.to_owned())
}

/// A message's first line, headers and body.
type Message = (String, Vec<(String, String)>, Vec<u8>);

fn serve(client: TcpStream, upstream: SocketAddr, swaps: &Swaps, calls: &Mutex<Vec<Exchange>>) -> Option<()> {
    let mut writer = client.try_clone().ok()?;
    let mut reader = BufReader::new(client);
    loop {
        let (line, headers, body) = read_message(&mut reader)?;
        let mut words = line.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let answer = ask(upstream, &line, &headers, &body);
        let (whole, query) = split(&target);
        let (version, path) = whole.trim_start_matches('/').split_once('/').unwrap_or((&whole, ""));
        calls.lock().ok()?.push(Exchange {
            method,
            version: version.to_owned(),
            path: format!("/{path}"),
            query,
            headers,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
            answer: answer.as_ref().map(|(line, _, body)| {
                let status = line.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
                (status, serde_json::from_slice(body).unwrap_or(Value::Null))
            }),
            bundled: false,
        });
        let (line, headers, body) = answer?;
        let mut body = String::from_utf8_lossy(&body).into_owned();
        for (from, to) in swaps {
            body = body.replace(from, to);
        }
        let mut head = format!("{line}\r\n");
        for (name, value) in headers {
            if !["content-length", "transfer-encoding", "connection"].contains(&name.as_str()) {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(body.as_bytes())).ok()?;
    }
}

/// One request upstream, on a connection of its own.
fn ask(upstream: SocketAddr, line: &str, headers: &[(String, String)], body: &[u8]) -> Option<Message> {
    let mut stream = TcpStream::connect(upstream).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut head = format!("{line}\r\n");
    for (name, value) in headers.iter().filter(|(n, _)| n != "connection") {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).ok()?;
    read_message(&mut BufReader::new(stream))
}

fn read_message(reader: &mut BufReader<TcpStream>) -> Option<Message> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|n| *n > 0)?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_lowercase(), value.trim().to_owned())),
            None => break,
        }
    }
    let of = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    let mut body = Vec::new();
    if of("transfer-encoding") == Some("chunked") {
        read_chunks(reader, &mut body)?;
    } else if let Some(length) = of("content-length").and_then(|v| v.parse().ok()) {
        body.resize(length, 0);
        reader.read_exact(&mut body).ok()?;
    }
    Some((first.trim_end().to_owned(), headers, body))
}

fn read_chunks(reader: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> Option<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let length = usize::from_str_radix(line.trim().split(';').next()?, 16).ok()?;
        let mut chunk = vec![0; length + 2];
        reader.read_exact(&mut chunk).ok()?;
        if length == 0 {
            return Some(());
        }
        body.extend_from_slice(chunk.get(..length)?);
    }
}
