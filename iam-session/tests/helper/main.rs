//! The helper as it is: its pipes on one side, an issuer that misbehaves over TLS on the other.
// clippy.toml lets tests unwrap, but does not take what they share for a test.
#![allow(clippy::unwrap_used)]

mod issuer;
mod program;

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use issuer::{Answer, Certificate, FakeIssuer, json, with_headers};
use nix::sys::resource::{Resource, getrlimit};
use program::{
    CLIENT_SECRET, DEVICE_CODE, Helper, REFRESH_TOKEN, REGISTRATION_TOKEN, authorize_device, client,
    deregister, discover, poll_device, refresh, revoke, widen_client,
};
use sha2::{Digest, Sha256};

const TOKEN: &str = r#"{"access_token":"at","token_type":"Bearer","expires_in":3600,"scope":"openid"}"#;

fn document(url: &str) -> Answer {
    json(200, &format!(r#"{{"issuer":"{url}/","token_endpoint":"{url}/token"}}"#))
}

fn first_line(request: &str) -> &str {
    request.lines().next().unwrap_or_default()
}

#[test]
fn a_document_is_found_and_the_connection_is_kept() {
    let issuer = FakeIssuer::start(|url, request| match first_line(request) {
        "GET /.well-known/openid-configuration HTTP/1.1" => document(url),
        "POST /token HTTP/1.1" => json(200, TOKEN),
        other => panic!("{other}"),
    });
    let mut helper = Helper::start();
    let reply = helper.ask(&discover(&issuer));
    assert_eq!(reply["ok"]["issuer"], issuer.url("/"));
    for _ in 0..3 {
        assert_eq!(helper.ask(&refresh(&issuer))["ok"]["access_token"], "at");
    }
    assert_eq!((issuer.connections(), issuer.requests().len()), (1, 4));
    helper.finish();
}

#[test]
fn a_probe_tells_what_time_it_is_at_the_issuer_and_only_of_the_issuer() {
    let issuer = FakeIssuer::start(|url, _| {
        let document = format!(r#"{{"issuer":"{url}/","token_endpoint":"{url}/token"}}"#);
        with_headers(200, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", &document)
    });
    let mut helper = Helper::start();
    let mut request = discover(&issuer);
    request["request"] = "probe".into();
    assert_eq!(helper.ask(&request)["ok"]["date"], 784_111_777);
    helper.finish();
    // A page in its place, as a network with a login page of its own gives one.
    let another =
        FakeIssuer::start(|_, _| with_headers(200, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "<html>"));
    let mut helper = Helper::start();
    let mut request = discover(&another);
    request["request"] = "probe".into();
    assert_eq!(helper.ask(&request)["error"]["class"], "malformed");
    helper.finish();
}

#[test]
fn a_refresh_is_one_form_with_basic_authentication() {
    let issuer = FakeIssuer::start(|_, _| json(200, TOKEN));
    let mut helper = Helper::start();
    assert_eq!(helper.ask(&refresh(&issuer))["ok"]["expires_in"], 3600);
    let request = issuer.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, format!("grant_type=refresh_token&refresh_token={REFRESH_TOKEN}&scope=openid"));
    assert!(head.contains("authorization: Basic ") && head.contains("accept: application/json"), "{head}");
    assert!(!head.contains(REFRESH_TOKEN) && !head.contains(CLIENT_SECRET), "{head}");
    helper.finish();
}

#[test]
fn a_client_that_is_registered_and_cannot_be_used_is_deleted() {
    let issuer = FakeIssuer::start(move |url, request| {
        let body = serde_json::json!({"client_id": "two words", "registration_client_uri": format!("{url}/register/1"),
                                      "registration_access_token": REGISTRATION_TOKEN});
        if request.starts_with("POST") { json(201, &body.to_string()) } else { json(204, "") }
    });
    let mut helper = Helper::start();
    let request = serde_json::json!({"request": "register", "endpoint": issuer.url("/register"), "client_name": "name",
                                     "scope": "openid", "auth": "none", "transport": {"ca_file": issuer.ca_file()}});
    assert_eq!(helper.fails(&request).class, "malformed");
    helper.finish();
    let requests = issuer.requests();
    let lines: Vec<_> = requests.iter().map(|request| first_line(request)).collect();
    assert_eq!(lines, ["POST /register HTTP/1.1", "DELETE /register/1 HTTP/1.1"]);
}

#[test]
fn an_endless_body_is_cut() {
    for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 400 X\r\nContent-Length: 99999999999\r\n\r\n"] {
        let issuer = FakeIssuer::start(move |_, _| Answer::Endless(head.to_owned()));
        let mut helper = Helper::start();
        let error = helper.fails(&refresh(&issuer));
        assert_eq!(error.class, "malformed", "{}", error.message);
        assert!(error.message.starts_with("localhost:"), "{}", error.message);
        helper.finish();
    }
}

#[test]
fn an_endless_page_of_an_overloaded_issuer_is_not_read() {
    let issuer = FakeIssuer::start(|_, _| {
        Answer::Endless("HTTP/1.1 503 X\r\nRetry-After: 31536000\r\n\r\n".to_owned())
    });
    let mut helper = Helper::start();
    let error = helper.fails(&refresh(&issuer));
    assert_eq!((error.class.as_str(), error.retry_after), ("busy", Some(3600)));
    helper.finish();
}

#[test]
fn an_endless_head_is_cut() {
    let issuer = FakeIssuer::start(|_, _| Answer::Endless("HTTP/1.1 200 OK\r\nX: ".to_owned()));
    let mut helper = Helper::start();
    assert_eq!(helper.fails(&discover(&issuer)).class, "unreachable");
    helper.finish();
}

#[test]
fn a_page_is_no_answer() {
    let issuer =
        FakeIssuer::start(|_, _| with_headers(200, "Content-Type: text/html\r\n", "<html>Welcome</html>"));
    let mut helper = Helper::start();
    for request in [discover(&issuer), refresh(&issuer), poll_device(&issuer), authorize_device(&issuer)] {
        assert_eq!(helper.fails(&request).class, "malformed");
    }
    helper.finish();
}

#[test]
fn an_overloaded_issuer_says_when_to_come_back() {
    let issuer = FakeIssuer::start(|_, _| with_headers(503, "Retry-After: 17\r\n", "<html>"));
    let mut helper = Helper::start();
    let error = helper.fails(&refresh(&issuer));
    assert_eq!((error.class.as_str(), error.retry_after), ("busy", Some(17)));
    assert_eq!(issuer.requests().len(), 1, "whether to try again is not the helper's to decide");
    helper.finish();
}

#[test]
fn an_unknown_client_is_an_empty_404() {
    let issuer = FakeIssuer::start(|_, _| with_headers(404, "", ""));
    let mut helper = Helper::start();
    assert_eq!(helper.fails(&authorize_device(&issuer)).class, "client_gone");
    assert_eq!(helper.fails(&refresh(&issuer)).class, "malformed");
    // Or its registration token is: whoever asked knows better which of the two.
    assert_eq!(helper.fails(&deregister(&issuer)).class, "client_gone");
    helper.finish();
}

#[test]
fn a_client_is_read_and_sent_back_whole_over_one_connection() {
    let issuer = FakeIssuer::start(|_, request| match first_line(request) {
        "GET /register/1 HTTP/1.1" => json(200, r#"{"client_id":"client-1","scope":"openid","x_own":[7]}"#),
        "PUT /register/1 HTTP/1.1" => json(200, request.split("\r\n\r\n").nth(1).unwrap()),
        other => panic!("{other}"),
    });
    let mut helper = Helper::start();
    let answer = helper.ask(&widen_client(&issuer));
    let ok = &answer["ok"];
    assert_eq!((&ok["answer"], &ok["scope"]), (&"client".into(), &"openid storage.create:/".into()));
    assert_eq!(ok["client"]["registration_access_token"], REGISTRATION_TOKEN, "none came back");
    let requests = issuer.requests();
    assert!(requests.iter().all(|one| one.contains(&format!("Bearer {REGISTRATION_TOKEN}"))), "{requests:?}");
    assert!(requests[1].contains(r#""x_own":[7]"#) && issuer.connections() == 1, "{requests:?}");
    helper.finish();
}

#[test]
fn secrets_that_the_issuer_repeats_are_not_passed_on() {
    let issuer = FakeIssuer::start(|_, request| {
        // What this request carried; the client secret came encoded in its head.
        let sent =
            [REFRESH_TOKEN, DEVICE_CODE, REGISTRATION_TOKEN].into_iter().filter(|it| request.contains(it));
        let echo =
            sent.chain([CLIENT_SECRET]).filter(|it| !request.starts_with("DELETE") || *it != CLIENT_SECRET);
        let echo = echo.collect::<Vec<_>>().join(" \\u001b[31m ");
        json(403, &format!(r#"{{"error":"invalid_token","error_description":"Invalid: {echo}"}}"#))
    });
    let mut helper = Helper::start();
    for request in [refresh(&issuer), poll_device(&issuer), deregister(&issuer), widen_client(&issuer)] {
        let error = helper.fails(&request); // looks for secrets itself
        assert!(error.message.contains("Invalid: [redacted]"), "{}", error.message);
    }
    helper.finish();
}

#[test]
fn a_path_without_an_issuer_is_named_with_the_nearest_that_has_one() {
    let issuer = FakeIssuer::start(|url, request| match first_line(request) {
        "GET /.well-known/openid-configuration HTTP/1.1" => document(url),
        "GET /page/.well-known/openid-configuration HTTP/1.1" => {
            with_headers(200, "Content-Type: text/html\r\n", "<html>")
        }
        // IAM, below its own path.
        _ => json(401, r#"{"error":"unauthorized","error_description":"Full authentication is required"}"#),
    });
    let mut helper = Helper::start();
    for (path, near, status) in [
        ("/iam/", true, 401),
        ("/page", true, 200),
        ("/.well-known/openid-configuration", true, 401),
        ("/iam/api/", false, 401),
    ] {
        let mut request = discover(&issuer);
        request["issuer"] = issuer.url(path).into();
        let error = helper.fails(&request);
        let no_issuer =
            format!("there is no OpenID issuer at '{}' ({status})", issuer.url(path.trim_end_matches('/')));
        let nearest = if near { format!("; '{}' is one", issuer.url("/")) } else { String::new() };
        assert_eq!((error.class.as_str(), error.message), ("malformed", no_issuer + &nearest));
    }
    helper.finish();
}

#[test]
fn a_revocation_by_form_that_is_redirected_is_asked_about_by_basic() {
    // IAM redirects the form to its pages, and has revoked.
    let issuer = FakeIssuer::start(|_, request| match request.contains("authorization: Basic ") {
        true => with_headers(200, "", ""),
        false => with_headers(302, "Location: /\r\n", ""),
    });
    let mut helper = Helper::start();
    for (auth, secret) in [("none", None), ("client_secret_post", Some(CLIENT_SECRET))] {
        let client = serde_json::json!({"client_id": "client-1", "client_secret": secret, "auth": auth});
        assert_eq!(helper.ask(&revoke(&issuer, client))["ok"]["answer"], "done", "{auth}");
    }
    let basic = |text: &str| format!("authorization: Basic {}\r\n", BASE64.encode(text.as_bytes()));
    let requests = issuer.requests();
    assert!(requests[1].contains(&basic("client-1:")), "{}", requests[1]);
    assert!(requests[3].contains(&basic(&format!("client-1:{CLIENT_SECRET}"))), "{}", requests[3]);
    assert!(!requests[3].contains(&format!("client_secret={CLIENT_SECRET}")), "{}", requests[3]);
    assert_eq!(requests.len(), 4);
    helper.finish();
}

#[test]
fn a_redirect_of_a_revocation_by_basic_is_an_error() {
    let issuer = FakeIssuer::start(|_, _| with_headers(302, "Location: /\r\n", ""));
    let mut helper = Helper::start();
    for (one, requests) in [(client(), 1), (serde_json::json!({"client_id": "c", "auth": "none"}), 3)] {
        assert_eq!(helper.fails(&revoke(&issuer, one)).class, "malformed");
        assert_eq!(issuer.requests().len(), requests);
    }
    helper.finish();
}

#[test]
fn who_polls_proves_that_it_asked() {
    let code = r#"{"device_code":"dc","user_code":"A","verification_uri":"https://a.example/d"}"#;
    let issuer = FakeIssuer::start(move |_, request| match first_line(request) {
        "POST /devicecode HTTP/1.1" => json(200, code),
        _ => json(200, TOKEN),
    });
    let mut helper = Helper::start();
    let verifier = helper.ask(&authorize_device(&issuer))["ok"]["code_verifier"].take();
    let mut poll = poll_device(&issuer);
    poll["code_verifier"] = verifier.clone();
    assert_eq!(helper.ask(&poll)["ok"]["access_token"], "at");
    let (requests, verifier) = (issuer.requests(), verifier.as_str().unwrap());
    let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(verifier));
    let sent = format!("&code_challenge={challenge}&code_challenge_method=S256&");
    assert!(requests[0].contains(&sent) && !requests[0].contains(verifier), "{}", requests[0]);
    assert!(requests[1].contains(&format!("&code_verifier={verifier}")), "{}", requests[1]);
    helper.finish();
}

/// An agent that an upgrade found running loses the verifier, and Keycloak refuses the polls of a challenge without it.
#[test]
fn who_does_not_know_of_a_proof_is_asked_for_none() {
    let code = r#"{"device_code":"dc","user_code":"A","verification_uri":"https://a.example/d"}"#;
    let issuer = FakeIssuer::start(move |_, _| json(200, code));
    let mut helper = Helper::start();
    let mut request = authorize_device(&issuer);
    request.as_object_mut().unwrap().remove("takes_verifier");
    assert!(helper.ask(&request)["ok"]["code_verifier"].is_null());
    assert!(!issuer.requests()[0].contains("code_challenge"), "{:?}", issuer.requests());
    helper.finish();
}

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
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cas-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("broken.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    fs::write(directory.join("1ea2c5b6.r0"), "a revocation list").unwrap();
    fs::write(directory.join("binary.crt"), [0xff; 1000]).unwrap();
    fs::create_dir_all(directory.join("directory.0")).unwrap();
    nix::unistd::mkfifo(&directory.join("fifo.pem"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    fs::copy(issuer.ca_file(), directory.join("1ea2c5b6.0")).unwrap();
    let mut request = refresh(&issuer);
    request["transport"] = serde_json::json!({"ca_dir": directory});
    let mut helper = Helper::start();
    assert_eq!(helper.ask(&request)["ok"]["access_token"], "at");
    helper.finish();
    fs::remove_dir_all(&directory).unwrap();
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

#[test]
fn a_line_that_is_no_request_is_answered_and_the_next_is_served() {
    let issuer = FakeIssuer::start(|url, _| document(url));
    let mut helper = Helper::start();
    for line in ["", "{", REFRESH_TOKEN, &format!(r#"{{"request":"{REFRESH_TOKEN}"}}"#)] {
        assert_eq!(helper.ask_raw(line)["error"]["class"], "refused");
    }
    assert_eq!(helper.ask(&discover(&issuer))["ok"]["answer"], "discovered");
    helper.finish();
}

#[test]
fn the_helper_leaves_no_core() {
    let mut helper = Helper::start();
    helper.ask_raw("");
    let limits = fs::read_to_string(format!("/proc/{}/limits", helper.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    // core(5): 1, for 0 is no limit to a program that takes core files from a pipe. What is 0 cannot be raised to it.
    let (_, allowed) = getrlimit(Resource::RLIMIT_CORE).unwrap();
    let limit = allowed.min(1).to_string();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), [&limit, &limit], "{core}");
    helper.finish();
}
