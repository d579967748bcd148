//! Sends one call and reads its answer within bounds. The only file that touches the network.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use reqwest::blocking::{self, Client, ClientBuilder, RequestBuilder};
use reqwest::header::{ACCEPT, CONTENT_TYPE, DATE, HeaderName, LOCATION, RETRY_AFTER};
use reqwest::{Method, Proxy, Url, redirect, retry};
use rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use super::call::{AuthorizationHeader, Call, Exchange, Payload, Response, failure};
use super::redact::{redact, shorten};
use super::roots::roots;
use super::unreachable::unreachable;
use super::url::host;
use super::wire::{ErrorClass, IssuerError, Transport};
use super::{body::BodyError, retry_after};
use crate::clock;

/// A host that does not complete TCP and TLS by then is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Shorter than what most servers keep a connection for (nginx 75 s, Tomcat as shipped 20 s), so that a
/// request seldom meets one that is just being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// The largest honest answer is a discovery document of some 10 kB.
const MAX_BODY: usize = 1024 * 1024;
/// Token answers fit, so that reading one leaves no copy behind.
const BODY_CAPACITY: usize = 64 * 1024;
/// Of the discovery document, within one origin.
const MAX_REDIRECTS: usize = 3;
/// Longest part of somebody's URL in a message.
const MAX_HOST: usize = 100;

/// Until when an answer must be complete, on the clock that goes on through a suspend.
#[derive(Clone, Copy)]
pub(super) struct Deadline(Duration);

impl Deadline {
    /// `patience` from now.
    pub(super) fn after(patience: Duration) -> Self {
        Self(clock::boot_time() + patience)
    }

    /// Never zero, which would mean no limit to some.
    fn remaining(self) -> Duration {
        self.0.saturating_sub(clock::boot_time()).max(Duration::from_millis(1))
    }
}

/// Kept-alive connections: a client per way to reach an issuer.
///
/// None is ever closed from our side: dropping a client waits for its thread, which may be inside a name
/// look-up that hangs. A helper serves one user's accounts for seconds.
#[derive(Default)]
pub(super) struct Connections(Vec<(Transport, Client)>);

impl Connections {
    /// Sends `call` once and reads the whole answer.
    pub(super) fn send(
        &mut self,
        transport: &Transport,
        call: &Call<'_>,
        deadline: Deadline,
    ) -> Result<Response, IssuerError> {
        exchange(self.client(transport, call)?, call, deadline)
    }

    fn client(&mut self, transport: &Transport, call: &Call<'_>) -> Result<&Client, IssuerError> {
        let known = self.0.iter().position(|(of, _)| of == transport);
        let index = match known {
            Some(index) => index,
            None => {
                self.0.push((transport.clone(), connect(transport, call)?));
                self.0.len() - 1
            }
        };
        Ok(&self.0[index].1)
    }
}

fn connect(transport: &Transport, call: &Call<'_>) -> Result<Client, IssuerError> {
    let unusable =
        |what: &str| failure(ErrorClass::Unreachable, &format!("cannot reach {}: {what}", call.host()));
    let roots = roots(transport).map_err(|error| unusable(&error.to_string()))?;
    let mut builder = builder(roots).map_err(|error| unusable(&error.to_string()))?.https_only(true);
    if let Some(proxy) = &transport.proxy {
        let proxy =
            proxy_for(proxy).ok_or_else(|| unusable("the proxy is not of the form http://host:port"))?;
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|error| unreachable(call, &error))
}

/// All but the proxy. Nothing is followed and nothing repeated by the library: a refresh that may have
/// reached the issuer may have consumed the refresh token, and only who holds the record can find out. (What
/// hyper sends again by itself had not left this process.)
fn builder(roots: RootCertStore) -> Result<ClientBuilder, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy() // those of the environment
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .user_agent(concat!("iam-session/", env!("CARGO_PKG_VERSION"))))
}

fn proxy_for(text: &str) -> Option<Proxy> {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "http" && url.host().is_some())?;
    Proxy::https(url).ok()
}

fn exchange(client: &Client, call: &Call<'_>, deadline: Deadline) -> Result<Response, IssuerError> {
    let mut url = call.url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let answer = request(client, call, url.clone())
            .timeout(deadline.remaining()) // body included
            .send()
            .map_err(|error| unreachable(call, &error.without_url()))?;
        match redirection(call, &url, &answer)? {
            Some(next) => url = next,
            None => return receive(call, answer),
        }
    }
    let message = format!("{} redirects {} more than {MAX_REDIRECTS} times", call.host(), call.exchange);
    Err(failure(ErrorClass::Malformed, &message))
}

fn request(client: &Client, call: &Call<'_>, url: Url) -> RequestBuilder {
    let request = match &call.payload {
        Payload::Get => client.request(Method::GET, url),
        Payload::Delete => client.request(Method::DELETE, url),
        Payload::Form(form) => client
            .request(Method::POST, url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.as_bytes().to_vec()),
        Payload::Json(json) => {
            client.request(Method::POST, url).header(CONTENT_TYPE, "application/json").body(json.to_vec())
        }
        Payload::Put(json) => {
            client.request(Method::PUT, url).header(CONTENT_TYPE, "application/json").body(json.to_vec())
        }
    };
    let request = request.header(ACCEPT, "application/json");
    match &call.authorization {
        AuthorizationHeader::None => request,
        AuthorizationHeader::Basic { user, password } => request.basic_auth(user, Some(password.as_str())),
        AuthorizationHeader::Bearer(token) => request.bearer_auth(token.expose()),
    }
}

/// Where to go on. Only the discovery document is followed, and only within its origin: nothing that carries
/// a credential is ever sent to a place that somebody names on the way.
fn redirection(call: &Call<'_>, from: &Url, answer: &blocking::Response) -> Result<Option<Url>, IssuerError> {
    if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let target = location.and_then(|location| from.join(location).ok());
    match target {
        Some(next) if call.exchange == Exchange::Discovery && next.origin() == from.origin() => {
            Ok(Some(next))
        }
        target => {
            let place = target.map_or_else(|| "nowhere".to_owned(), |target| place(&target));
            let message =
                format!("{} redirects {} to {place}, which is not followed", call.host(), call.exchange);
            Err(failure(ErrorClass::Malformed, &message).with_status(answer.status().as_u16()))
        }
    }
}

fn place(url: &Url) -> String {
    let place = redact(&format!("{}://{}", url.scheme(), host(url)), &[]);
    shorten(&place, MAX_HOST)
}

fn receive(call: &Call<'_>, mut answer: blocking::Response) -> Result<Response, IssuerError> {
    let status = answer.status().as_u16();
    let header = |name: HeaderName| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let retry_after = header(RETRY_AFTER).and_then(|value| retry_after::seconds(value, clock::unix_time()));
    let date = header(DATE).and_then(retry_after::date);
    // An overloaded server's page is of no interest, and may take as long as its answers do.
    let body = match status {
        429 | 500.. => Zeroizing::default(),
        _ => read_body(call, status, &mut answer)?,
    };
    Ok(Response { status, retry_after, date, body })
}

fn read_body(
    call: &Call<'_>,
    status: u16,
    answer: &mut blocking::Response,
) -> Result<Zeroizing<Vec<u8>>, IssuerError> {
    let mut body = Zeroizing::new(Vec::with_capacity(BODY_CAPACITY));
    let limit = MAX_BODY as u64 + 1;
    answer.take(limit).read_to_end(&mut body).map_err(|error| unreachable(call, &error))?;
    if body.len() > MAX_BODY { Err(call.malformed(status, &BodyError::TooLong)) } else { Ok(body) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Answers `GET /` with a head that promises more, and then a byte now and then until the peer goes away.
    fn dripping_server() -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut head = [0; 4096];
            let _ = peer.read(&mut head).unwrap();
            peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").unwrap();
            peer.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            // The peer never writes again: the read is the pause between two bytes.
            while peer.write_all(b" ").is_ok() {
                let _ = peer.read(&mut head);
            }
        });
        Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap()
    }

    #[test]
    fn an_answer_that_drips_ends_at_the_deadline() {
        let client = builder(RootCertStore::empty()).unwrap().build().unwrap();
        let mut call = Call::new(Exchange::Refresh, "https://127.0.0.1/", Payload::Get).unwrap();
        call.url = dripping_server();
        let started = clock::boot_time();
        let error = exchange(&client, &call, Deadline::after(Duration::from_millis(500))).err().unwrap();
        let took = clock::boot_time() - started;
        assert_eq!(error.class, ErrorClass::Unreachable);
        assert!(error.message.contains("did not answer"), "{error}");
        assert!(took >= Duration::from_millis(500) && took < Duration::from_secs(10), "{took:?}");
    }

    #[test]
    fn a_proxy_is_http_only() {
        assert!(proxy_for("http://proxy.example.org:3128").is_some());
        for text in ["proxy.example.org:3128", "https://proxy.example.org", "socks5://a:1", "http://", ""] {
            assert!(proxy_for(text).is_none(), "{text}");
        }
    }
}
