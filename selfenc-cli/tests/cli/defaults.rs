use std::fs;
#[cfg(unix)]
use std::os::unix::fs::PermissionsExt;

use crate::support::{Home, chunk_names, random};

#[test]
fn two_commands_and_no_set_up() {
    let home = Home::new();
    let data = random(2_500_000, 1);
    home.write("photo.jpg", &data);

    let first = home.ok(&["encrypt", "photo.jpg"]);
    assert!(first.out.is_empty());
    let lines: Vec<_> = first.err.lines().collect();
    assert_eq!(lines.len(), 2, "{}", first.err);
    assert!(lines[0].contains("made a group secret in") && lines[0].contains("config/selfenc/group-secret"));
    assert!(lines[1].contains("2.38 MiB in") && lines[1].contains("chunks: 3 new, 0 already present"));
    assert!(
        lines[1].contains("map photo.jpg.selfenc") && lines[1].contains("data/selfenc/store"),
        "{}",
        lines[1]
    );
    assert_eq!(home.files(), ["photo.jpg", "photo.jpg.selfenc"]);

    fs::remove_file(home.path("photo.jpg")).unwrap();
    home.ok(&["decrypt", "photo.jpg.selfenc"]);
    assert!(home.read("photo.jpg") == data);
    assert_eq!(home.files(), ["photo.jpg", "photo.jpg.selfenc"]);
}

#[test]
fn the_second_time_nothing_is_stored() {
    let home = Home::new();
    home.write("data", random(2_500_000, 2));
    let first = home.json(&["encrypt", "data", "--json"]);
    let again = home.ok(&["encrypt", "data", "--force", "--json"]);
    assert!(again.err.is_empty(), "{}", again.err);
    let again: serde_json::Value = serde_json::from_slice(&again.out).unwrap();
    assert_eq!(first["chunks_new"], 3);
    assert!(first["bytes_stored"].as_u64().unwrap() >= 2_500_000);
    assert_eq!((&again["bytes_in"], &again["bytes_stored"]), (&2_500_000.into(), &0.into()));
    assert_eq!((&again["chunks_new"], &again["chunks_present"]), (&0.into(), &3.into()));
    assert_eq!(again["map"], "data.selfenc");
}

#[test]
fn two_secrets_share_no_name_and_public_none_with_either() {
    let home = Home::new();
    home.write("data", random(500_000, 3));
    home.ok(&["keygen", "-o", "one"]);
    home.ok(&["keygen", "-o", "two"]);
    let scopes = [
        &["--secret-file", "one"][..],
        &["--secret-file", "two"],
        &["--public"],
        &["--private"],
        &["--private"],
    ];
    let mut all = Vec::new();
    for (i, scope) in scopes.iter().enumerate() {
        let url = format!("file:{}", home.path(&format!("store{i}")).display());
        home.ok(&[&["encrypt", "data", "--force", "--chunk-size", "16K", "--store", &url], *scope].concat());
        all.extend(chunk_names(&home, &url));
    }
    assert_eq!(all.len(), scopes.len() * 31);
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count, "two scopes share a chunk name");
}

#[test]
#[cfg(unix)]
fn secrets_are_for_the_owner_and_files_follow_the_umask() {
    let home = Home::new();
    home.write("data", random(10_000, 4));
    let in_shell = |umask: &str, command: &str| {
        let script = format!("umask {umask}; exec {} {command}", env!("CARGO_BIN_EXE_selfenc"));
        let status = home.command_of("sh".as_ref(), &["-c", &script]).status().unwrap();
        assert!(status.success(), "{script}");
    };
    in_shell("000", "encrypt data -q");
    in_shell("000", "keygen -q -o key");
    in_shell("000", "decrypt data.selfenc -q -o open");
    in_shell("027", "decrypt data.selfenc -q -o closed");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home.path("data.selfenc")), 0o600);
    assert_eq!(mode(&home.path("key")), 0o600);
    assert_eq!(mode(&home.group_secret()), 0o600);
    assert_eq!(mode(home.group_secret().parent().unwrap()), 0o700);
    assert_eq!(mode(&home.default_store()), 0o700);
    assert_eq!(mode(&home.path("open")), 0o666);
    assert_eq!(mode(&home.path("closed")), 0o640);
}

#[test]
fn the_group_secret_is_made_once_and_only_when_needed() {
    let home = Home::new();
    home.write("data", random(10_000, 5));
    home.ok(&["encrypt", "data", "--public"]);
    home.ok(&["encrypt", "data", "--private", "--force"]);
    home.fails(1, &["encrypt", "nowhere"]);
    home.fails(1, &["encrypt", "data"]);
    home.fails(2, &["encrypt", "data", "--force", "--chunk-size", "1"]);
    assert!(!home.group_secret().exists(), "made without need");

    home.ok(&["encrypt", "data", "--force"]);
    let secret = fs::read(home.group_secret()).unwrap();
    assert_eq!(secret.len(), 65);
    let again = home.ok(&["encrypt", "data", "--force"]);
    assert!(!again.err.contains("group secret"), "{}", again.err);
    assert_eq!(fs::read(home.group_secret()).unwrap(), secret);
}

#[test]
fn the_environment_names_the_store_and_the_option_wins() {
    let home = Home::new();
    home.write("data", random(10_000, 6));
    let url = format!("file:{}", home.path("from-env").display());
    let run = |args: &[&str]| home.command(args).env("SELFENC_STORE", &url).status().unwrap().success();
    assert!(run(&["encrypt", "data", "-q"]));
    assert!(run(&["verify", "data.selfenc", "-q"]));
    assert!(!home.default_store().exists());
    assert_eq!(chunk_names(&home, &url).len(), 1);
    assert!(run(&["encrypt", "data", "-q", "--force", "--store", "file:from-option"]));
    assert!(home.path("from-option").exists());
}

#[test]
fn quiet_says_nothing() {
    let home = Home::new();
    home.write("data", random(10_000, 7));
    for args in [
        &["encrypt", "data", "-q"][..],
        &["decrypt", "data.selfenc", "-o", "back", "-q"],
        &["verify", "data.selfenc", "--quiet"],
        &["store", "scrub", "-q"],
    ] {
        let run = home.ok(args);
        assert!(run.out.is_empty() && run.err.is_empty(), "{run:?}");
    }
}

#[test]
fn help_has_examples_and_completions_are_made() {
    let home = Home::new();
    let commands: &[&[&str]] = &[
        &[],
        &["encrypt"],
        &["decrypt"],
        &["cat"],
        &["verify"],
        &["info"],
        &["store"],
        &["store", "list"],
        &["store", "stat"],
        &["store", "scrub"],
        &["store", "copy"],
        &["names"],
        &["rm-name"],
        &["keygen"],
        &["completions"],
    ];
    for command in commands {
        let help = home.ok(&[*command, &["--help"]].concat()).out;
        assert!(String::from_utf8(help).unwrap().contains("Examples:\n  "), "{command:?}");
    }
    let help = String::from_utf8(home.ok(&["--help"]).out).unwrap();
    assert!(help.contains("Exit codes:") && help.contains("SELFENC_STORE"), "{help}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = String::from_utf8(home.ok(&["completions", shell]).out).unwrap();
        assert!(script.contains("rm-name") && script.contains("key-file"), "{shell}");
    }
}
