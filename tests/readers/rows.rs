//! The rows: one for each program.

use crate::Row;
use crate::scene::{PYTHON, SERVER, Scene};

const NOTHING: &str = "nothing";
const WITHOUT: &str = "`iam-session run --no-token -- …`, if its server wants another token";

pub(crate) const ROWS: &[Row] = &[
    Row {
        program: "rucio",
        version: "/mnt/tools/readers/bin/python -m pip show rucio-clients",
        does: "`auth_type = oidc`: sends it before a token of its own",
        set: WITHOUT,
        seen: rucio,
    },
    Row {
        program: "pelicanfs",
        version: "/mnt/tools/readers/bin/python -m pip show pelicanfs",
        does: "sends it to an origin that wants another issuer's",
        set: WITHOUT,
        seen: pelicanfs,
    },
    Row {
        program: "servicex",
        version: "/mnt/tools/readers/bin/python -m pip show servicex",
        does: "takes it before its own refresh token",
        set: WITHOUT,
        seen: servicex,
    },
    Row {
        program: "DIRAC",
        version: "/mnt/tools/readers/bin/python -m pip show DIRAC",
        does: "writes JSON with a refresh token in its place",
        set: "`iam-session run --no-token -- dirac-login …`",
        seen: dirac,
    },
    Row {
        program: "scitokens (Python)",
        version: "/mnt/tools/readers/bin/python -m pip show scitokens",
        does: "`discover` finds it; `Enforcer` refuses WLCG tokens",
        set: "validators for `wlcg.ver` and the like in your program",
        seen: scitokens,
    },
    Row {
        program: "igwn-auth-utils",
        version: "/mnt/tools/readers/bin/python -m pip show igwn-auth-utils",
        does: "finds it, and passes it over: WLCG tokens are refused by scitokens' `Enforcer`",
        set: "`SciToken.discover` of scitokens finds it",
        seen: igwn,
    },
    Row {
        program: "XRootD (Python)",
        version: "/mnt/tools/readers/bin/python -m pip show xrootd",
        does: "reads it at every connection",
        set: NOTHING,
        seen: xrootd_python,
    },
    Row {
        program: "xrdcp",
        version: "xrdcp --version",
        does: "reads it at every connection",
        set: NOTHING,
        seen: |scene| scene.reads(&format!("xrdcp {} -", scene.storage.url("/cms/x"))),
    },
    Row {
        program: "gfal2, `root://`",
        version: "gfal-cat --version",
        does: "reads it: it is xrootd's own client",
        set: NOTHING,
        seen: |scene| scene.reads(&format!("gfal-cat {}", scene.storage.url("/cms/x"))),
    },
    Row {
        program: "gfal2, `https://`",
        version: "gfal-cat --version",
        does: "nothing",
        set: "`iam-session run -- gfal-copy …`",
        seen: gfal_http,
    },
    Row {
        program: "davix",
        version: "davix-get --version",
        does: "nothing",
        set: "`-H \"Authorization: Bearer $(iam-session token)\"`, which others see",
        seen: davix,
    },
    Row {
        program: "rclone",
        version: "rclone version",
        does: "nothing",
        set: "`bearer_token_command = iam-session token` of a WebDAV remote",
        seen: rclone,
    },
];

fn rucio(scene: &Scene<'_>) {
    let config = format!(
        "[client]\nrucio_host = https://{SERVER}\nauth_host = https://{SERVER}\nca_cert = /etc/iam-session/readers.pem\n\
         account = alice\nauth_type = oidc\noidc_scope = openid\noidc_audience = rucio\noidc_issuer = x\n"
    );
    scene.host.write("/mnt/rucio/etc/rucio.cfg", config, 0o644);
    // X509_CERT_DIR would come before ca_cert.
    let whoami = format!("env -u X509_CERT_DIR RUCIO_HOME=/mnt/rucio {} whoami", Scene::program("rucio"));
    scene.sends_ours(&whoami, "/accounts/whoami");
}

fn pelicanfs(scene: &Scene<'_>) {
    let cat = format!(
        "from pelicanfs import PelicanFileSystem; PelicanFileSystem(\"pelican://{SERVER}\").cat(\"/private/x\")"
    );
    scene.sends_ours(&format!("{PYTHON} -c '{cat}'"), "/origin/private/x");
}

fn servicex(scene: &Scene<'_>) {
    let config = format!(
        "api_endpoints:\n  - endpoint: https://{SERVER}\n    name: t\n    token: its-own-refresh-token\n"
    );
    scene.host.write("/mnt/servicex.yaml", config, 0o644);
    scene.sends_ours(
        &format!("{} codegen list -c /mnt/servicex.yaml", Scene::program("servicex")),
        "/servicex",
    );
}

fn dirac(scene: &Scene<'_>) {
    let write = "from DIRAC.FrameworkSystem.private.authorization.utils.Tokens import writeTokenDictToTokenFile as write; \
                 print(write({\"access_token\": \"a\", \"refresh_token\": \"secret\"})); \
                 import os; print(open(os.environ[\"BEARER_TOKEN_FILE\"]).read())";
    let output = scene.python(write);
    // Ours comes back for the rows that follow.
    scene.login.run("iam-session token --force").successful();
    assert!(output.stdout.contains("refresh_token"), "{output:?}");
}

fn scitokens(scene: &Scene<'_>) {
    let any = "https://wlcg.cern.ch/jwt/v1/any";
    let output = scene.python(&format!(
        "from scitokens import SciToken, Enforcer; t = SciToken.discover(audience=\"{any}\"); print(t[\"sub\"]); \
         print(Enforcer(t[\"iss\"], audience=\"{any}\").test(t, \"storage.read\", \"/\"))"
    ));
    assert!(output.stdout.starts_with("alice\n") && !output.stdout.contains("True"), "{output:?}");
}

fn igwn(scene: &Scene<'_>) {
    let find = "from igwn_auth_utils.scitokens import find_token; \
                print(find_token(\"https://wlcg.cern.ch/jwt/v1/any\", \"storage.read:/\")[\"sub\"])";
    let output = scene.python(find);
    assert!(output.stderr.contains("could not find a valid SciToken"), "{output:?}");
}

fn xrootd_python(scene: &Scene<'_>) {
    let read = "import sys; from XRootD import client; f = client.File(); print(f.open(sys.argv[1])[0].message); \
                print(f.read()[1])";
    scene.reads(&format!("{PYTHON} -c '{read}' {}", scene.storage.url("/cms/x")));
}

fn gfal_http(scene: &Scene<'_>) {
    let read = format!("gfal-cat {}", scene.storage.web_url("/cms/x"));
    scene.is_refused(&read);
    scene.reads(&format!("iam-session run -- {read}"));
}

fn davix(scene: &Scene<'_>) {
    let read = format!("davix-get {}", scene.storage.web_url("/cms/x"));
    scene.is_refused(&read);
    scene.reads(&format!("{read} -H \"Authorization: Bearer $(iam-session token)\""));
}

fn rclone(scene: &Scene<'_>) {
    let url = scene.storage.web_url("/").replace("davs:", "https:");
    let read = format!(
        "rclone cat :webdav:cms/x --webdav-url {url} --ca-cert /etc/iam-session/iam.example.pem --retries 1"
    );
    scene.is_refused(&read);
    scene.reads(&format!("{read} --webdav-bearer-token-command 'iam-session token'"));
}
