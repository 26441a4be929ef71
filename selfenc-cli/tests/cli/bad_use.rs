//! Every misuse that a user is likely to fall into, with its exit code and its remedy.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Home, finish, one_line_and_hint, random};

fn with_map() -> Home {
    let home = Home::new();
    home.write("data", random(100_000, 1));
    home.ok(&["encrypt", "data", "-q"]);
    home
}

#[test]
fn store_urls_that_cannot_be() {
    let home = with_map();
    for command in [&["cat", "data.selfenc"][..], &["encrypt", "data", "--force"], &["names"]] {
        let at = |url| [command, &["--store", url]].concat();
        home.fails_with_hint(2, &at("gopher://x"), "no backend for 'gopher:'; this build has ", "file:");
        home.fails_with_hint(2, &at("/just/a/path"), "scheme:path", "file:");
        for secret in ["s3://user:hunter2@host/b", "file:x?token=hunter2"] {
            let err = home.fails(2, &at(secret));
            one_line_and_hint(&err, "invalid input", "never");
            assert!(!err.contains("hunter2"), "{err}");
        }
        home.fails(2, &at("file:x?colour=red"));
    }
}

#[test]
fn a_store_that_is_not_there() {
    let home = with_map();
    home.fails_with_hint(4, &["cat", "data.selfenc", "--store", "file:nowhere"], "nowhere", "--store");
    home.fails_with_hint(4, &["store", "scrub", "file:nowhere"], "nowhere", "--store");
    home.fails_with_hint(4, &["store", "copy", "file:nowhere", "file:target"], "nowhere", "--store");
    assert!(!home.path("nowhere").exists() && !home.path("target").exists(), "a reader made a store");
    fs::remove_dir_all(home.default_store()).unwrap();
    home.fails_with_hint(4, &["verify", "data.selfenc"], "no default store", "$SELFENC_STORE");
}

#[test]
fn the_wrong_store_names_the_chunk() {
    let home = with_map();
    home.write("other", random(100_000, 2));
    home.ok(&["encrypt", "other", "--store", "file:elsewhere", "-q"]);
    let line = home.json(&["info", "data.selfenc", "--json"]);
    assert_eq!(line["entries"], 1);
    let name = String::from_utf8(home.ok(&["store", "list"]).out).unwrap()[..8].to_owned();
    home.fails_with_hint(3, &["cat", "data.selfenc", "--store", "file:elsewhere"], &name, "wrong --store");
}

#[test]
fn what_is_no_map_or_a_newer_or_a_damaged_one() {
    let home = with_map();
    home.write("long", vec![b'x'; 3 << 20]);
    home.write("empty", "");
    for no_map in ["data", "long", "empty"] {
        home.fails_with_hint(1, &["cat", no_map], "not a selfenc data map", ".selfenc file");
        home.fails(1, &["info", no_map]);
    }
    home.fails_with_hint(1, &["cat", "nowhere.selfenc"], "nowhere.selfenc", "check the path");

    let good = home.read("data.selfenc");
    let mut newer = good.clone();
    newer[5] = 2;
    home.write("newer", newer);
    home.fails_with_hint(1, &["cat", "newer"], "version 2", "update");
    let mut flipped = good.clone();
    flipped[60] ^= 1;
    for damaged in [&flipped[..], &good[..good.len() - 1], &[&good[..], b"x"].concat()] {
        home.write("damaged", damaged);
        home.fails_with_hint(3, &["verify", "damaged"], "damaged", "undamaged copy");
    }
}

#[test]
fn settings_that_do_not_work() {
    let home = Home::new();
    home.write("data", random(100_000, 3));
    home.fails_with_hint(2, &["encrypt", "data", "--memory", "1M"], "too small", "--memory");
    for bad in [
        &["--chunk-size", "1"][..],
        &["--chunk-size", "65M"],
        &["--chunk-size", "4G"],
        &["--chunk-size", "1MB"],
        &["--cdc", "1,2"],
        &["--cdc", "4M,1M,256K"],
        &["--cdc", "4K,16K,64K", "--chunk-size", "64K"],
        &["--compress", "zstd:99"],
        &["--compress", "gzip"],
        &["--suite", "0x01"],
        &["--suite", "rot13"],
        &["--public", "--private"],
        &["--public", "--secret-file", "s"],
        &["--threads", "many"],
        &["--no-such-option"],
    ] {
        let err = home.fails(2, &[&["encrypt", "data"], bad].concat());
        assert!(!err.is_empty(), "{bad:?}");
        assert_eq!(home.files(), ["data"], "{bad:?}");
    }
    let needed = home.fails(2, &["encrypt", "data", "--memory", "1M"]);
    let size = needed.split("--memory ").nth(1).unwrap().split(' ').next().unwrap();
    home.ok(&["encrypt", "data", "--memory", size]);
}

#[test]
fn existing_files_are_kept_and_names_asked_for() {
    let home = with_map();
    let map = home.read("data.selfenc");
    home.write("mine", "precious");
    home.fails_with_hint(1, &["encrypt", "data"], "exists already", "--force");
    home.fails_with_hint(1, &["decrypt", "data.selfenc"], "exists already", "--force");
    home.fails_with_hint(1, &["decrypt", "data.selfenc", "-o", "mine"], "exists already", "--force");
    home.fails_with_hint(1, &["keygen", "-o", "mine"], "mine", "never overwritten");
    home.fails_with_hint(2, &["encrypt", "data", "-o", "data", "--force"], "would replace", "-o");
    assert_eq!(home.read("mine"), b"precious");
    assert_eq!(home.read("data.selfenc"), map);

    fs::copy(home.path("data.selfenc"), home.path("map")).unwrap();
    home.fails_with_hint(2, &["decrypt", "map"], "does not end in .selfenc", "-o");
    home.fails_with_hint(2, &["encrypt", "-"], "standard input", "-o MAP");
    home.fails_with_hint(2, &["encrypt", "data", "-o", "-", "--json"], "--json", "file");
    fs::create_dir(home.path("folder")).unwrap();
    home.fails_with_hint(1, &["encrypt", "folder"], "folder", "tar c");
    home.fails_with_hint(1, &["decrypt", "map", "-o", "folder"], "folder", "-o");
    home.fails_with_hint(1, &["decrypt", "map", "-o", "nowhere/back"], "nowhere/back", "folder is not there");
    home.fails_with_hint(1, &["encrypt", "nowhere"], "nowhere", "check the path");
    home.ok(&["decrypt", "map", "-o", "mine", "--force"]);
    assert_eq!(home.read("mine"), home.read("data"));
    assert_eq!(home.files(), ["data", "data.selfenc", "folder", "map", "mine"]);
}

#[test]
fn secret_files_that_are_none_or_open_to_others() {
    let home = with_map();
    for (name, text) in [("short", "abc"), ("long", &"a".repeat(65)[..]), ("words", &"g".repeat(64))] {
        home.ok(&["keygen", "-q", "-o", name]);
        home.write(name, text);
        home.fails_with_hint(
            1,
            &["encrypt", "data", "--force", "--secret-file", name],
            "64 hex digits",
            "keygen",
        );
    }
    home.ok(&["keygen", "-q", "-o", "zeros"]);
    home.write("zeros", "0".repeat(64));
    home.fails_with_hint(2, &["encrypt", "data", "--force", "--secret-file", "zeros"], "zero", "keygen");
    home.fails_with_hint(1, &["encrypt", "data", "--force", "--secret-file", "nowhere"], "nowhere", "keygen");
    home.fails_with_hint(1, &["cat", "data.selfenc", "--key-file", "nowhere"], "nowhere", "keygen");
}

#[test]
#[cfg(unix)]
fn a_secret_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let home = with_map();
    let secret = home.group_secret();
    for mode in [0o644, 0o640, 0o604, 0o620] {
        fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();
        home.fails_with_hint(1, &["encrypt", "data", "--force"], "group-secret", "chmod 600");
    }
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o400)).unwrap();
    home.ok(&["encrypt", "data", "--force"]);
}

#[test]
#[cfg(target_os = "linux")]
fn no_space_is_said_and_nothing_is_lost() {
    let home = with_map();
    let map = home.read("data.selfenc");
    // The output is on a full device.
    home.fails_with_hint(1, &["decrypt", "data.selfenc", "-o", "/dev/full"], "/dev/full", "free some space");
    let full = || Stdio::from(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let run = home.command(&["cat", "data.selfenc"]).stdout(full()).stderr(Stdio::piped()).spawn().unwrap();
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    one_line_and_hint(&String::from_utf8(output.stderr).unwrap(), "standard output", "free some space");

    // The store, or the output, may not grow past a limit, which the system says like a full disk.
    home.write("big", random(3 << 20, 4));
    let limited = |args: &str| {
        let script = format!("trap '' XFSZ; ulimit -f 64; exec {} {args}", env!("CARGO_BIN_EXE_selfenc"));
        finish(&mut home.command_of(Path::new("sh"), &["-c", &script]))
    };
    let run = limited("encrypt big --compress none");
    assert_eq!(run.code, 1, "{}", run.err);
    one_line_and_hint(&run.err, "no space", "free some space");
    let run = limited("decrypt data.selfenc --force");
    assert_eq!(run.code, 1, "{}", run.err);
    one_line_and_hint(&run.err, "'data'", "free some space");

    assert_eq!(home.files(), ["big", "data", "data.selfenc"]);
    assert_eq!(home.read("data.selfenc"), map);
    assert_eq!(home.read("data"), random(100_000, 1), "the old file stands");
    home.ok(&["store", "scrub"]);
    home.ok(&["encrypt", "big", "--compress", "none"]);
}

/// Runs `args` as a user who may not write where the mode forbids it: root may, whatever the mode.
#[cfg(unix)]
fn as_plain_user(home: &Home, args: &[&str]) -> Command {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    let own = fs::metadata(home.root()).unwrap().uid();
    if own != 0 {
        return home.command(args);
    }
    // Another user may not even reach the program where it was built.
    let program = home.root().join("selfenc");
    if !program.exists() {
        // Not by this process: what a thread of another test starts meanwhile would for a moment have the
        // copy open for writing as well, and nobody can run it then.
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_selfenc")).arg(&program).status().unwrap();
        assert!(copied.success());
    }
    fs::set_permissions(home.root(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = home.command_of(&program, args);
    command.uid(65_534).gid(65_534);
    command
}

#[test]
#[cfg(unix)]
fn folders_that_may_not_be_written() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    home.write("data", random(100_000, 5));
    home.ok(&["encrypt", "data", "--public", "--store", "file:chunks", "-q"]);
    let map = home.path("data.selfenc");
    fs::set_permissions(&map, fs::Permissions::from_mode(0o644)).unwrap();
    let set =
        |name: &str, mode| fs::set_permissions(home.path(name), fs::Permissions::from_mode(mode)).unwrap();
    fs::create_dir(home.path("out")).unwrap();

    set("out", 0o555);
    let run = finish(&mut as_plain_user(
        &home,
        &["decrypt", "data.selfenc", "--store", "file:chunks", "-o", "out/x"],
    ));
    set("out", 0o755);
    assert_eq!(run.code, 1, "{}", run.err);
    one_line_and_hint(&run.err, "out/x", "another place with -o");

    set("chunks", 0o555);
    set("out", 0o777);
    let args = ["encrypt", "data", "--public", "--compress", "none", "--chunk-size", "8K", "--store"];
    let args = [&args[..], &["file:chunks", "-o", "out/map"]].concat();
    let run = finish(&mut as_plain_user(&home, &args));
    set("chunks", 0o755);
    assert_eq!(run.code, 4, "{}", run.err);
    one_line_and_hint(&run.err, "permission denied", "--store");
    assert_eq!(fs::read_dir(home.path("out")).unwrap().count(), 0);
}

#[test]
fn strange_file_names_do_not_steer_the_terminal() {
    let home = Home::new();
    let err = home.fails(1, &["cat", "a\u{1b}[2J\nb"]);
    assert!(err.contains(r"a\u{1b}[2J\nb") && err.lines().count() == 2, "{err}");
}

#[test]
fn an_output_never_replaces_what_the_run_needs() {
    let home = with_map();
    home.ok(&["keygen", "-o", "key"]);
    home.ok(&["keygen", "-o", "secret"]);
    let secret = home.group_secret();
    let secret = secret.to_str().unwrap();
    let before = [home.read("data"), home.read("key"), home.read("secret"), home.read("data.selfenc")];
    for args in [
        &["encrypt", "data", "-o", "data", "--force"][..],
        &["encrypt", "data", "--key-file", "key", "-o", "key", "--force"],
        &["encrypt", "data", "--secret-file", "secret", "-o", "secret", "--force"],
        &["encrypt", "data", "-o", secret, "--force"],
        &["decrypt", "data.selfenc", "-o", "data.selfenc", "--force"],
        &["decrypt", "data.selfenc", "--key-file", "key", "-o", "key", "--force"],
    ] {
        home.fails_with_hint(2, args, "would replace", "another name");
    }
    let after = [home.read("data"), home.read("key"), home.read("secret"), home.read("data.selfenc")];
    assert!(before == after);
}
