//! What `deny.toml` says, so that it is said once. Enough of TOML for that file.

/// The licences that `[licenses]` allows.
pub(crate) fn allowed_licences(toml: &str) -> Vec<String> {
    quoted(&list(toml, "licenses", "allow"))
}

/// The crates that `[bans]` denies.
pub(crate) fn banned_crates(toml: &str) -> Vec<String> {
    let entries = list(toml, "bans", "deny");
    entries
        .into_iter()
        .filter_map(|line| line.trim().strip_prefix("{ crate = ")?.split('"').nth(1))
        .map(str::to_owned)
        .collect()
}

/// The lines of the list `key` in the table `table`, comments left out.
fn list<'a>(toml: &'a str, table: &str, key: &str) -> Vec<&'a str> {
    let find = |text: &'a str, mark: &str| -> &'a str {
        let (_, rest) = text.split_once(mark).unwrap_or_else(|| panic!("deny.toml: no {mark:?}"));
        rest
    };
    let rest = find(find(toml, &format!("\n[{table}]")), &format!("\n{key} = [\n"));
    let (entries, _) = rest.split_once("\n]").expect("deny.toml: the list ends");
    entries.lines().filter(|line| !line.trim().starts_with('#')).collect()
}

fn quoted(lines: &[&str]) -> Vec<String> {
    lines.iter().filter_map(|line| line.split('"').nth(1)).map(str::to_owned).collect()
}

#[test]
fn lists_are_found_in_their_tables() {
    let toml = r#"
[bans]
allow = [
    "x",
]
deny = [
    { crate = "bad", reason = "no" },
]
[licenses]
allow = [
    "MIT", # "not this"
    #"GPL-3.0",
]
"#;
    assert_eq!(allowed_licences(toml), ["MIT"]);
    assert_eq!(banned_crates(toml), ["bad"]);
}
