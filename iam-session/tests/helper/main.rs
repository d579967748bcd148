//! The helper as it is: its pipes on one side, an issuer that misbehaves over TLS on the other.
// clippy.toml lets tests unwrap, but does not take what they share for a test.
#![allow(clippy::unwrap_used)]

mod issuer;
mod program;
mod reaching;
#[path = "../../src/scratch.rs"]
mod scratch;

use std::fs;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use issuer::{Answer, FakeIssuer, json, with_headers};
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
fn a_client_that_may_not_use_basic_is_not_gone_where_its_form_was_redirected() {
    for (status, error) in [(401, "invalid_client"), (401, "unauthorized"), (400, "invalid_request")] {
        // A proxy sends away who comes without credentials in the head, and the issuer knows no Basic.
        let issuer = FakeIssuer::start(move |_, request| match request.contains("authorization: Basic ") {
            true => json(status, &format!(r#"{{"error":"{error}"}}"#)),
            false => with_headers(302, "Location: /login\r\n", ""),
        });
        let mut helper = Helper::start();
        let client = serde_json::json!({"client_id": "client-1", "auth": "none"});
        let error = helper.fails(&revoke(&issuer, client));
        assert_eq!((error.class.as_str(), issuer.requests().len()), ("malformed", 2), "{}", error.message);
        helper.finish();
    }
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
