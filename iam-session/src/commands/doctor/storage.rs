//! Why a storage element refuses the token: what the token says, and what the server says to it. Starts xrdfs, which
//! is the user's own program: no line of ours speaks to a storage element.

use std::env;
use std::io::{ErrorKind, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use zeroize::Zeroizing;

use super::finding::Finding;
use super::session::SessionLook;
use crate::clock;
use crate::commands::read_token_file::read_token_file;
use crate::jwt::Jwt;
use crate::scope::ScopeSet;

const CHECK: &str = "storage";
/// How long xrdfs is let run.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);
/// Of what it says; the rest is its stack of causes.
const MAX_WORDS: usize = 400;
/// The client tries for half an hour unless it is told otherwise (xrdfs(1), environment).
const LIMITS: [(&str, &str); 3] =
    [("XRD_CONNECTIONWINDOW", "10"), ("XRD_CONNECTIONRETRY", "1"), ("XRD_REQUESTTIMEOUT", "20")];
/// Good for every storage element (WLCG profile 1.3, "Audience").
const ANY: &str = "https://wlcg.cern.ch/jwt/v1/any";

/// `roots://HOST[:PORT]//PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StorageUrl {
    text: String,
    server: String,
    host: String,
    path: String,
}

impl FromStr for StorageUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "it must be of the form roots://HOST[:PORT]//PATH";
        let (scheme, rest) = text.split_once("://").ok_or(FORM)?;
        if !matches!(scheme, "root" | "roots" | "xroot" | "xroots") {
            return Err("only roots:// and root:// can be tried; for HTTP see docs/programs.md");
        }
        let (server, path) = rest.split_once('/').ok_or(FORM)?;
        let clean =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?@#\\".contains(&byte));
        if server.is_empty() || server.starts_with('-') || !clean(server) || !clean(path) {
            return Err(FORM);
        }
        let host = server.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
        let host = host.map_or(server, |(host, _)| host).to_owned();
        let path = format!("/{}", path.trim_start_matches('/'));
        Ok(Self { text: text.to_owned(), server: format!("{scheme}://{server}"), host, path })
    }
}

impl StorageUrl {
    /// As it was given.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

pub(super) fn look(url: &StorageUrl, session: &SessionLook) -> Vec<Finding> {
    let jwt = token(session);
    let mut findings: Vec<Finding> = jwt.iter().map(|jwt| audience(jwt, url)).collect();
    findings.extend(jwt.as_ref().map(|jwt| scope(jwt, url)));
    findings.push(stat(url, jwt.as_ref()));
    findings
}

/// What the token that xrdfs will find says: BEARER_TOKEN comes first (WLCG bearer token discovery).
fn token(session: &SessionLook) -> Option<Jwt> {
    let variable = env::var("BEARER_TOKEN").ok().filter(|value| !value.is_empty()).map(Zeroizing::new);
    if let Some(token) = variable {
        return Jwt::read(token.as_bytes()).ok();
    }
    let (_, token) = read_token_file(session.token_file.as_ref()?).ok()?;
    Jwt::read(&token).ok()
}

fn audience(jwt: &Jwt, url: &StorageUrl) -> Finding {
    let audiences: Vec<&str> = jwt.audiences();
    let fits = |one: &&&str| **one == ANY || one.contains(url.host.as_str());
    match audiences.iter().find(fits) {
        Some(one) => Finding::ok(CHECK, &format!("the token's audience is {one}")),
        None if audiences.is_empty() => {
            Finding::note(CHECK, "the token names no audience: some servers refuse that", &by_audience(url))
        }
        None => Finding::note(
            CHECK,
            &format!("the token is for {}: this server may refuse it", audiences.join(" ")),
            &by_audience(url),
        ),
    }
}

fn scope(jwt: &Jwt, url: &StorageUrl) -> Finding {
    let granted = ScopeSet::parse(jwt.text("scope").unwrap_or_default());
    let wanted = format!("storage.read:{}", url.path);
    if granted.allows(&wanted) {
        return Finding::ok(CHECK, &format!("the token's scopes '{granted}' include {wanted}"));
    }
    let what = format!(
        "the token's scopes '{granted}' do not include {wanted}, if the server's paths begin where the issuer's do"
    );
    Finding::note(CHECK, &what, &by_scope(url))
}

fn by_audience(url: &StorageUrl) -> String {
    format!("try BEARER_TOKEN=$(iam-session token --aud https://{})", url.host)
}

fn by_scope(url: &StorageUrl) -> String {
    format!("try BEARER_TOKEN=$(iam-session token -s storage.read:{} --aud https://{})", url.path, url.host)
}

/// The server's own words.
fn stat(url: &StorageUrl, jwt: Option<&Jwt>) -> Finding {
    let mut command = Command::new("xrdfs");
    command.arg(&url.server).arg("stat").arg(&url.path);
    for (name, value) in LIMITS.into_iter().filter(|(name, _)| env::var_os(name).is_none()) {
        command.env(name, value);
    }
    let run = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let child = match run {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Finding::unknown(CHECK, "there is no xrdfs here to try it with: install xrootd-client");
        }
        Err(error) => return Finding::unknown(CHECK, &format!("cannot start xrdfs: {error}")),
    };
    match finish(child) {
        Some((status, _)) if status.success() => {
            Finding::ok(CHECK, &format!("{} lets you see {}", url.server, url.path))
        }
        Some((_, said)) => refused(url, &said, jwt),
        None => {
            let what = format!("{} does not answer within {} s", url.server, PATIENCE.as_secs());
            Finding::wrong(CHECK, &what, "is the port right, and may this host reach it?")
        }
    }
}

/// Its end and what it wrote as errors; `None` if it had to be killed.
fn finish(mut child: Child) -> Option<(ExitStatus, String)> {
    let errors = child.stderr.take();
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        // More than fits in a pipe is seldom said, and must not stop it.
        let _ = errors.map(|mut errors| errors.read_to_end(&mut text));
        String::from_utf8_lossy(&text).into_owned()
    });
    let by = clock::boot_time() + PATIENCE;
    while clock::boot_time() < by {
        match child.try_wait() {
            Ok(Some(status)) => return Some((status, reader.join().unwrap_or_default())),
            Ok(None) => thread::sleep(PAUSE),
            Err(_) => break,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

fn refused(url: &StorageUrl, said: &str, jwt: Option<&Jwt>) -> Finding {
    let words: String =
        said.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MAX_WORDS).collect();
    let lower = words.to_lowercase();
    let what = format!("{} says: {words}", url.server);
    let mend = if jwt.is_none() {
        "no token was found that could be read; the lines above say why".to_owned()
    } else if lower.contains("permission denied") {
        by_scope(url)
    } else if lower.contains("auth failed") || lower.contains("not authorized") {
        by_audience(url)
    } else if lower.contains("no such file") {
        "it let you in; the path is another".to_owned()
    } else {
        String::new()
    };
    Finding::wrong(CHECK, &what, &mend)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Severity;
    use crate::jwt::tests::jwt_of;

    fn url(text: &str) -> StorageUrl {
        text.parse().unwrap()
    }

    fn claiming(text: &str) -> Jwt {
        Jwt::read(jwt_of("{}", text, "x").as_bytes()).ok().unwrap()
    }

    #[test]
    fn a_url_is_a_server_and_a_path() {
        let parsed = url("roots://se.example:1094//cms/x");
        assert_eq!(
            (parsed.server.as_str(), parsed.host.as_str(), parsed.path.as_str()),
            ("roots://se.example:1094", "se.example", "/cms/x")
        );
        assert_eq!(url("root://se.example/cms").path, "/cms");
        for text in [
            "",
            "se.example",
            "roots://se.example",
            "roots:///x",
            "roots://-x//y",
            "roots://a b//c",
            "davs://a/b",
            "roots://u@a//b",
            "roots://a//b?c",
        ] {
            assert!(text.parse::<StorageUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn audience_and_scope_are_compared_with_the_url() {
        let url = url("roots://se.example//cms/x");
        let of = |text| (audience(&claiming(text), &url).state, scope(&claiming(text), &url).state);
        assert_eq!(
            of(r#"{"aud":"https://wlcg.cern.ch/jwt/v1/any","scope":"storage.read:/cms"}"#),
            (Severity::Ok, Severity::Ok)
        );
        assert_eq!(
            of(r#"{"aud":["https://se.example"],"scope":"storage.read:/cm"}"#),
            (Severity::Ok, Severity::Note)
        );
        assert_eq!(of(r#"{"aud":"https://other.example"}"#), (Severity::Note, Severity::Note));
    }

    #[test]
    fn the_servers_words_say_what_to_try() {
        let url = url("roots://se.example//cms/x");
        let mend = |said| refused(&url, said, Some(&claiming("{}"))).mend.unwrap();
        assert!(
            mend("[ERROR] Server responded with an error: [3010] permission\n denied")
                .contains("-s storage.read:/cms/x")
        );
        assert!(mend("[FATAL] Auth failed: x").contains("--aud https://se.example"));
        assert!(refused(&url, "x", None).mend.unwrap().contains("no token was found"));
    }
}
