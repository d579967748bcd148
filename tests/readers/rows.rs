//! The rows: one for each program. What it does is the line of docs/programs.md.

use crate::Row;
use crate::scene::{PYTHON, SERVER, Scene};

pub(crate) const ROWS: &[Row] = &[
    Row { program: "`rucio`, `auth_type = oidc`", version: "pip show rucio-clients", seen: rucio },
    Row { program: "`pelican`, pelicanfs", version: "pip show pelicanfs", seen: pelicanfs },
    Row { program: "ServiceX (`servicex`)", version: "pip show servicex", seen: servicex },
    Row { program: "DIRAC (`dirac-login`)", version: "pip show DIRAC", seen: dirac },
    Row { program: "`htgettoken`", version: "pip show htgettoken", seen: htgettoken },
    Row { program: "WMCore", version: "pip show wmcore", seen: wmcore },
    Row { program: "FTS (`fts-rest-transfer-submit` and its kin)", version: "pip show fts3", seen: fts },
    Row { program: "HTCondor", version: "pip show htcondor", seen: htcondor },
    Row { program: "scitokens (Python)", version: "pip show scitokens", seen: scitokens },
    Row { program: "igwn-auth-utils", version: "pip show igwn-auth-utils", seen: igwn },
    Row { program: "XRootD's Python", version: "pip show xrootd", seen: xrootd_python },
    Row {
        program: "`xrdcp`, `xrdfs`: `root://`, `roots://`",
        version: "xrdcp --version",
        seen: |scene| scene.reads(&format!("xrdcp {} -", scene.storage.url("/cms/x"))),
    },
    Row {
        program: "gfal2 over `root://`, `roots://`",
        version: "gfal-cat --version",
        seen: |scene| scene.reads(&format!("gfal-cat {}", scene.storage.url("/cms/x"))),
    },
    Row {
        program: "gfal2 over `https://`, `davs://`, up to 2.23",
        version: "gfal-cat --version",
        seen: gfal_http,
    },
    Row { program: "davix (`davix-get`, `davix-put`)", version: "davix-get --version", seen: davix },
    Row { program: "rclone, a WebDAV remote", version: "rclone version", seen: rclone },
    Row { program: "curl", version: "curl --version", seen: curl },
    Row {
        program: "fsspec-xrootd, which uproot uses: `root://`",
        version: "pip show fsspec-xrootd",
        seen: fsspec,
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

fn htgettoken(scene: &Scene<'_>) {
    let file = scene.login.env("BEARER_TOKEN_FILE").unwrap();
    let ours = scene.login.read(&file);
    let get = format!(
        "echo vault >vt; {} -a {SERVER} -i cms --credkey alice --vaulttokenfile vt --nokerberos --nossh --nooidc \
         --cafile $SSL_CERT_FILE",
        Scene::program("htgettoken")
    );
    scene.login.run(&format!("{get} -o own.token")).successful();
    assert_eq!(scene.login.read(&file), ours, "with a file of its own it leaves ours");
    scene.login.run(&get).successful();
    let of_file = format!("curl -s https://{SERVER}/file -H \"Authorization: Bearer $(cat {file})\"");
    let theirs = scene.sent(&of_file, "/file");
    let status = scene.login.run("iam-session status");
    // Ours comes back for the rows that follow; a new one is minted at most every 10 s.
    let ours = || scene.login.run("iam-session token --force").successful().stdout == scene.login.read(&file);
    scene.host.wait_until("our token in the file", ours);
    assert_eq!(theirs, "https://other.example/");
    assert!(status.stderr.contains("another program has put a token into the token file"), "{status:?}");
    scene.sends_ours(&of_file, "/file");
}

fn wmcore(scene: &Scene<'_>) {
    let command = format!(
        "{PYTHON} -c 'from WMCore.Storage.Backends.GFAL2Impl import GFAL2Impl; \
         print(GFAL2Impl().createStageOutCommand(\"root://a//b\", \"root://c//d\", authMethod=\"TOKEN\"))'"
    );
    let (token, proxy) = ("BEARER_TOKEN_FILE=$BEARER_TOKEN_FILE", "X509_USER_PROXY=$X509_USER_PROXY");
    let with = scene.login.run(&command).successful().stdout;
    assert!(with.contains(token) && !with.contains(proxy), "{with}");
    let without = scene.login.run(&format!("iam-session run --no-token -- {command}")).successful().stdout;
    assert!(without.contains(proxy) && !without.contains(token), "{without}");
}

fn fts(scene: &Scene<'_>) {
    let whoami = format!("{} -s https://{SERVER} --capath $SSL_CERT_FILE", Scene::program("fts-rest-whoami"));
    assert_eq!(scene.sent(&whoami, "/whoami"), "none");
    scene.sends_ours(&format!("{whoami} --fts-access-token $(iam-session token)"), "/whoami");
}

fn htcondor(scene: &Scene<'_>) {
    let _schedd = scene.schedd();
    let ping = format!(
        "{PYTHON} -c 'import htcondor2, classad2; \
         schedd = classad2.ClassAd({{\"MyType\": \"Scheduler\", \"MyAddress\": \"<127.0.0.1:9618?alias=localhost>\"}}); \
         print(htcondor2.ping(schedd, \"WRITE\")[\"MyRemoteUserName\"])'"
    );
    let output = scene.login.run(&ping);
    assert!(output.status != 0, "the session's token does not compute: {output:?}");
    let log = scene.host.read("/mnt/schedd.log");
    assert!(log.contains("identity 'https://iam.example/,alice' to alice@example"), "{output:?} {log}");
    let run = |options: &str| {
        let scopes = "-s compute.create -s compute.modify -s compute.cancel";
        scene.login.run(&format!("iam-session run {scopes} {options} -- {ping}"))
    };
    assert_eq!(run("").successful().stdout, "alice@example\n");
    let output = run("--aud https://other.example");
    assert!(output.status != 0, "{output:?}");
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

fn curl(scene: &Scene<'_>) {
    let read = format!("curl -sSf {}", scene.storage.web_url("/cms/x").replace("davs:", "https:"));
    scene.is_refused(&read);
    scene.reads(&format!("{read} -H @<(printf 'Authorization: Bearer %s' \"$(iam-session token)\")"));
}

fn fsspec(scene: &Scene<'_>) {
    let read = "import sys, fsspec; print(fsspec.open(sys.argv[1]).open().read())";
    scene.reads(&format!("{PYTHON} -c '{read}' {}", scene.storage.url("/cms/x").replace("roots:", "root:")));
}
