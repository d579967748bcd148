//! An issuer on loopback that answers as a test wants, over real TLS with a CA made on the spot.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, GeneralSubtree, IsCa, KeyPair, NameConstraints,
    date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::scratch::Scratch;

/// What the server's certificate says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Certificate {
    Good,
    Expired,
    NotYetValid,
    AnotherName,
    NoName,
    /// Of a CA that may vouch for other names only.
    OutOfBounds,
    /// The CA's own.
    OfTheCa,
    /// Its own CA, and not the one that is trusted.
    SelfSigned,
}

/// What happens on the connection after a request has been read.
pub(crate) enum Answer {
    /// These bytes; the connection stays.
    Keep(String),
    /// These bytes, and the connection is cut without a TLS good-bye.
    Cut(String),
    /// These bytes, and then the same byte until the peer goes away.
    Endless(String),
}

/// A JSON answer with its length.
pub(crate) fn json(status: u16, body: &str) -> Answer {
    with_headers(status, "Content-Type: application/json\r\n", body)
}

/// An answer with more headers, each with its CRLF.
pub(crate) fn with_headers(status: u16, headers: &str, body: &str) -> Answer {
    Answer::Keep(format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()))
}

pub(crate) struct FakeIssuer {
    port: u16,
    ca_file: PathBuf,
    _scratch: Scratch,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl FakeIssuer {
    /// `answer` gets the issuer's own URL, `https://localhost:PORT`, and the request as it came.
    pub(crate) fn start(answer: impl Fn(&str, &str) -> Answer + Send + Sync + 'static) -> Self {
        Self::with_certificate(Certificate::Good, answer)
    }

    pub(crate) fn with_certificate(
        certificate: Certificate,
        answer: impl Fn(&str, &str) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (config, ca) = tls(certificate);
        let scratch = Scratch::new();
        let ca_file = scratch.write("ca.pem", ca);
        let (requests, connections) = (Arc::default(), Arc::default());
        let issuer = Self { port, ca_file, _scratch: scratch, requests, connections };
        let serve = Serve {
            config,
            answer: Box::new(answer),
            url: issuer.url(""),
            requests: issuer.requests.clone(),
            connections: issuer.connections.clone(),
        };
        thread::spawn(move || serve.run(&listener));
        issuer
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    pub(crate) fn ca_file(&self) -> &str {
        self.ca_file.to_str().unwrap()
    }

    /// The requests so far, head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// How many connections got through their TLS handshake and sent something.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// The issuer's own URL and a request → what happens.
type Answering = dyn Fn(&str, &str) -> Answer + Send + Sync;

struct Serve {
    config: Arc<ServerConfig>,
    answer: Box<Answering>,
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Serve {
    fn run(self, listener: &TcpListener) {
        let serve = Arc::new(self);
        for peer in listener.incoming() {
            let serve = serve.clone();
            // A peer that hangs up in mid-answer is what several tests are about.
            thread::spawn(move || serve.connection(peer.unwrap()).unwrap_or_default());
        }
    }

    fn connection(&self, peer: TcpStream) -> io::Result<()> {
        let mut stream = StreamOwned::new(ServerConnection::new(self.config.clone()).unwrap(), peer);
        let mut first = true;
        while let Some(request) = read_request(&mut stream)? {
            if std::mem::take(&mut first) {
                self.connections.fetch_add(1, Ordering::SeqCst);
            }
            self.requests.lock().unwrap().push(request.clone());
            match (self.answer)(&self.url, &request) {
                Answer::Keep(bytes) => stream.write_all(bytes.as_bytes())?,
                Answer::Cut(bytes) => {
                    stream.write_all(bytes.as_bytes())?;
                    return stream.flush();
                }
                Answer::Endless(bytes) => {
                    stream.write_all(bytes.as_bytes())?;
                    loop {
                        stream.write_all(&[b' '; 8192])?;
                    }
                }
            }
            stream.flush()?;
        }
        Ok(())
    }
}

/// Head and body of the next request; `None` when the peer has gone.
fn read_request(stream: &mut impl Read) -> io::Result<Option<String>> {
    let mut request = String::new();
    let mut buffer = [0; 4096];
    while !is_whole(&request) {
        match stream.read(&mut buffer)? {
            0 => return Ok(None),
            count => request.push_str(std::str::from_utf8(&buffer[..count]).unwrap()),
        }
    }
    Ok(Some(request))
}

fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.to_ascii_lowercase().lines().find_map(|line| {
        line.strip_prefix("content-length:").map(|length| length.trim().parse::<usize>().unwrap())
    });
    body.len() >= length.unwrap_or(0)
}

fn tls(certificate: Certificate) -> (Arc<ServerConfig>, String) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    if certificate == Certificate::OutOfBounds {
        let permitted_subtrees = vec![GeneralSubtree::DnsName("example.org".into())];
        ca.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    }
    if certificate == Certificate::OfTheCa {
        ca.subject_alt_names =
            CertificateParams::new(vec!["localhost".to_owned()]).unwrap().subject_alt_names;
    }
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let ca_der = PrivateKeyDer::try_from(ca_key.serialize_der()).unwrap();
    let ca_issuer = rcgen::Issuer::new(ca, ca_key);

    let names = match certificate {
        Certificate::AnotherName => vec!["other.example.org".to_owned()],
        Certificate::NoName => Vec::new(),
        _ => vec!["localhost".to_owned()],
    };
    let mut leaf = CertificateParams::new(names).unwrap();
    match certificate {
        Certificate::Expired => leaf.not_after = date_time_ymd(2001, 1, 1),
        Certificate::SelfSigned => leaf.distinguished_name.push(DnType::CommonName, "itself"),
        Certificate::NotYetValid => leaf.not_before = date_time_ymd(4000, 1, 1),
        _ => {}
    }
    let key = KeyPair::generate().unwrap();
    let leaf = match certificate {
        Certificate::SelfSigned => leaf.self_signed(&key).unwrap(),
        _ => leaf.signed_by(&key, &ca_issuer).unwrap(),
    };
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let (leaf, key) = match certificate {
        Certificate::OfTheCa => (ca_certificate.der().clone(), ca_der),
        _ => (leaf.der().clone(), key),
    };
    let chain: Vec<CertificateDer<'static>> = vec![leaf];
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    (Arc::new(config), ca_certificate.pem())
}
