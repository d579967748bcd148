//! What the shells complete, by the scripts of the package.

use std::process::Command;

use support::package::payload;

const BASH: &str = "usr/share/bash-completion/completions/iam-session";
const ZSH: &str = "usr/share/zsh/site-functions";
const FISH: &str = "usr/share/fish/vendor_completions.d/iam-session.fish";

/// What a shell prints that runs this; `FILE` stands for a path below the payload's root.
fn run(shell: &str, options: &[&str], file: &str, script: &str) -> Vec<String> {
    let file = payload().join(file).into_os_string().into_string().unwrap();
    let output = Command::new(shell).args(options).args(["-c", &script.replace("FILE", &file)]).output();
    let output = output.unwrap_or_else(|error| panic!("{shell}: {error}: install it, or 'make packages'"));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success() && stderr.is_empty(), "{shell}: {stderr}{stdout}");
    stdout.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_and_their_options() {
    let complete = |words: &str, last: &str, before: &str| {
        let script = format!(
            "source FILE; COMP_WORDS=({words} {last}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1));
             function=$(complete -p iam-session); function=${{function#*-F }}; function=${{function%% *}}
             $function iam-session '{last}' '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        run("bash", &["--norc", "--noprofile"], BASH, &script)
    };
    assert_eq!(complete("iam-session", "tok", "iam-session"), ["token"]);
    assert!(complete("iam-session token", "--a", "token").contains(&"--aud".to_owned()));
}

#[test]
fn fish_completes_commands_and_their_options() {
    let complete =
        |line: &str| run("fish", &["--no-config"], FISH, &format!("source FILE; complete -C '{line}'"));
    assert!(complete("iam-session tok").contains(&"token".to_owned()));
    assert!(complete("iam-session token --a").contains(&"--aud".to_owned()));
}

#[test]
fn zsh_finds_and_loads_the_function() {
    let script = "fpath=(FILE $fpath); autoload -Uz compinit; compinit -D -u; print $_comps[iam-session];
                  autoload +X _iam-session && print loaded";
    assert_eq!(run("zsh", &["-f"], ZSH, script), ["_iam-session", "loaded"]);
}
