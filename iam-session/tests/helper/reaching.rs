//! How an issuer is reached: redirects, certificates, proxies, connections that end.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::issuer::{Answer, Certificate, FakeIssuer, json, with_headers};
use crate::program::{Helper, REFRESH_TOKEN, authorize_device, deregister, discover, poll_device, refresh};
use crate::scratch::Scratch;
use crate::{TOKEN, document, first_line};

#[test]
fn a_redirect_within_the_origin_is_followed_for_discovery() {
    let issuer = FakeIssuer::start(|url, request| match first_line(request) {
        "GET /.well-known/openid-configuration HTTP/1.1" => with_headers(302, "Location: /elsewhere\r\n", ""),
        "GET /elsewhere HTTP/1.1" => document(url),
        other => panic!("{other}"),
    });
    let mut helper = Helper::start();
    assert_eq!(helper.ask(&discover(&issuer))["ok"]["answer"], "discovered");
    helper.finish();
}

#[test]
fn a_redirect_to_another_host_names_both() {
    for target in
        ["https://evil.example/x", "http://localhost/x", "//evil.example:1/x", "https://localhost/x"]
    {
        let issuer = FakeIssuer::start(move |_, _| with_headers(302, &format!("Location: {target}\r\n"), ""));
        let mut helper = Helper::start();
        let error = helper.fails(&discover(&issuer));
        assert_eq!(error.class, "malformed");
        let host = target.split('/').nth(2).unwrap();
        assert!(error.message.starts_with("localhost:") && error.message.contains(host), "{}", error.message);
        helper.finish();
    }
}

#[test]
fn redirects_in_a_circle_end() {
    let issuer = FakeIssuer::start(|_, _| with_headers(307, "Location: /again\r\n", ""));
    let mut helper = Helper::start();
    assert_eq!(helper.fails(&discover(&issuer)).class, "malformed");
    assert_eq!(issuer.requests().len(), 4);
    helper.finish();
}

#[test]
fn a_credential_never_follows_a_redirect() {
    let issuer = FakeIssuer::start(|_, _| with_headers(307, "Location: /token2\r\n", ""));
    let mut helper = Helper::start();
    for request in [refresh(&issuer), poll_device(&issuer), deregister(&issuer)] {
        assert_eq!(helper.fails(&request).class, "malformed");
    }
    assert_eq!(issuer.requests().len(), 3);
    helper.finish();
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_in_words() {
    for (certificate, words) in [
        (Certificate::Expired, "has expired"),
        (Certificate::NotYetValid, "not valid yet (is this host's clock right?)"),
        (Certificate::AnotherName, "for another name"),
        (Certificate::NoName, "names no host in its subjectAltName"),
        (Certificate::OutOfBounds, "(a name constraint)"),
        (Certificate::OfTheCa, "is that of a CA, as self-signed ones often are"),
        (Certificate::SelfSigned, "or by itself: name that CA with 'ca_file'"),
    ] {
        let issuer = FakeIssuer::with_certificate(certificate, |_, _| json(200, TOKEN));
        let mut helper = Helper::start();
        let error = helper.fails(&refresh(&issuer));
        assert_eq!(error.class, "unreachable");
        assert!(error.message.contains(words), "{}", error.message);
        assert!(!error.message.contains("redacted"), "{}", error.message);
        assert!(issuer.requests().is_empty());
        helper.finish();
    }
}

#[test]
fn the_environment_adds_neither_a_ca_nor_a_proxy() {
    let issuer = FakeIssuer::start(|_, _| json(200, TOKEN));
    let unused = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://{}", unused.local_addr().unwrap());
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"];
    let mut environment: Vec<_> = names.map(|name| (name, proxy.as_str())).to_vec();
    environment.extend([("SSL_CERT_FILE", issuer.ca_file()), ("SSLKEYLOGFILE", "/dev/stderr")]);
    let mut helper = Helper::with_environment(&environment);
    assert_eq!(helper.ask(&refresh(&issuer))["ok"]["access_token"], "at", "no proxy is used");
    let mut request = refresh(&issuer);
    request["transport"] = serde_json::json!({});
    let error = helper.fails(&request);
    assert_eq!(error.class, "unreachable");
    assert_eq!(issuer.requests().len(), 1, "the user's CA is not trusted: {}", error.message);
    helper.finish();
}

#[test]
fn a_proxy_of_the_provider_is_used() {
    let issuer = FakeIssuer::start(|_, _| json(200, TOKEN));
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut request = refresh(&issuer);
    request["transport"]["proxy"] = format!("http://{}", proxy.local_addr().unwrap()).into();
    let proxied = thread::spawn(move || tunnel(&proxy));
    let mut helper = Helper::start();
    assert_eq!(helper.ask(&request)["ok"]["access_token"], "at");
    helper.finish();
    let asked = proxied.join().unwrap();
    assert!(asked.starts_with("CONNECT localhost:") && !asked.contains(REFRESH_TOKEN), "{asked}");
}

/// One tunnel (RFC 9110 §9.3.6); gives back what was asked for.
fn tunnel(proxy: &TcpListener) -> String {
    let (mut client, _) = proxy.accept().unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split_whitespace().nth(1).unwrap();
    let mut server = TcpStream::connect(target.replace("localhost", "127.0.0.1")).unwrap();
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    let (mut from_server, mut to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    thread::spawn(move || io::copy(&mut from_server, &mut to_client));
    io::copy(&mut client, &mut server).unwrap_or_default();
    head
}

#[test]
fn a_directory_of_cas_may_hold_other_things() {
    let issuer = FakeIssuer::start(|_, _| json(200, TOKEN));
    let directory = Scratch::new();
    directory.write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    directory.write("1ea2c5b6.r0", "a revocation list");
    directory.write("binary.crt", [0xff; 1000]);
    fs::create_dir(directory.join("directory.0")).unwrap();
    nix::unistd::mkfifo(&directory.join("fifo.pem"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    fs::copy(issuer.ca_file(), directory.join("1ea2c5b6.0")).unwrap();
    let mut request = refresh(&issuer);
    request["transport"] = serde_json::json!({"ca_dir": *directory});
    let mut helper = Helper::start();
    assert_eq!(helper.ask(&request)["ok"]["access_token"], "at");
    helper.finish();
}

#[test]
fn a_ca_file_that_cannot_be_read_is_named() {
    let issuer = FakeIssuer::start(|_, _| json(200, TOKEN));
    let mut request = refresh(&issuer);
    request["transport"] = serde_json::json!({"ca_file": "/nonexistent/ca.pem"});
    let mut helper = Helper::start();
    let error = helper.fails(&request);
    assert!(
        error.class == "unreachable" && error.message.contains("/nonexistent/ca.pem"),
        "{}",
        error.message
    );
    assert_eq!(helper.ask(&refresh(&issuer))["ok"]["access_token"], "at", "and the next request is served");
    helper.finish();
}

#[test]
fn a_connection_cut_in_mid_answer_is_not_tried_again() {
    for bytes in [
        "",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"access_token\":\"at\"",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"acc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
    ] {
        let issuer = FakeIssuer::start(move |_, _| Answer::Cut(bytes.to_owned()));
        let mut helper = Helper::start();
        assert_eq!(helper.fails(&refresh(&issuer)).class, "unreachable", "{bytes}");
        assert_eq!(issuer.requests().len(), 1, "{bytes}");
        helper.finish();
    }
}

#[test]
fn a_refresh_that_was_read_on_a_kept_connection_is_not_sent_again() {
    let issuer = FakeIssuer::start(|url, request| match first_line(request) {
        "POST /token HTTP/1.1" => Answer::Cut(String::new()),
        _ => document(url),
    });
    let mut helper = Helper::start();
    helper.ask(&discover(&issuer));
    assert_eq!(helper.fails(&refresh(&issuer)).class, "unreachable");
    assert_eq!((issuer.requests().len(), issuer.connections()), (2, 1));
    assert_eq!(helper.ask(&discover(&issuer))["ok"]["answer"], "discovered", "on a new connection");
    helper.finish();
}

#[test]
fn who_does_not_listen_or_speak_tls_is_out_of_reach() {
    let issuer = FakeIssuer::start(|_, _| json(200, TOKEN));
    let mut helper = Helper::start();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (endpoint, words) in [
        (format!("https://localhost:{}/token", closed.port()), "refused"),
        ("https://name.invalid/token".to_owned(), "name.invalid"),
    ] {
        let mut request = refresh(&issuer);
        request["endpoint"] = endpoint.into();
        let error = helper.fails(&request);
        assert_eq!(error.class, "unreachable");
        assert!(error.message.contains(words), "{}", error.message);
    }
    helper.finish();
}

#[test]
fn nothing_is_sent_in_clear() {
    let issuer = FakeIssuer::start(|_, _| json(200, TOKEN));
    let mut helper = Helper::start();
    for request in [refresh(&issuer), authorize_device(&issuer), poll_device(&issuer)] {
        let mut request = request;
        request["endpoint"] = issuer.url("/token").replace("https:", "http:").into();
        let error = helper.fails(&request);
        assert!(error.class == "refused" && error.message.contains("https://"), "{}", error.message);
    }
    assert!(issuer.requests().is_empty());
    helper.finish();
}
