use crate::support::{Home, random};

fn names(home: &Home) -> Vec<String> {
    String::from_utf8(home.ok(&["names"]).out).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_published_map_comes_back_by_its_name() {
    let home = Home::new();
    let data = random(300_000, 1);
    home.write("data", &data);
    home.ok(&["keygen", "-o", "key"]);
    let run = home.ok(&["encrypt", "data", "--name", "report", "--key-file", "key"]);
    assert!(run.err.contains("name 'report'"), "{}", run.err);
    assert_eq!(home.files(), ["data", "key"], "no map file without -o");

    let by_name = ["--name", "report", "--key-file", "key"];
    home.ok(&[&["decrypt", "-o", "back"][..], &by_name].concat());
    assert!(home.read("back") == data);
    assert!(home.ok(&[&["cat", "--range", "7..1007"][..], &by_name].concat()).out == data[7..1007]);
    let verified = home.json(&[&["verify", "--json"][..], &by_name].concat());
    assert_eq!(verified["bytes"], 300_000);
    let info = home.json(&[&["info", "--json"][..], &by_name].concat());
    assert_eq!((&info["sealed"], &info["bytes"]), (&true.into(), &300_000.into()));
}

#[test]
fn names_are_listed_replaced_with_force_and_removed() {
    let home = Home::new();
    home.write("old", random(10_000, 2));
    home.write("new", random(20_000, 3));
    home.ok(&["keygen", "-o", "key"]);
    let publish = |file: &str, name: &str, more: &[&str]| {
        let args = [&["encrypt", file, "--name", name, "--key-file", "key", "-q"][..], more].concat();
        home.run(&args)
    };
    assert_eq!(publish("old", "b", &[]).code, 0);
    assert_eq!(publish("old", "a/Ü x", &[]).code, 0);
    assert_eq!(names(&home), ["a/Ü x", "b"]);
    let json = String::from_utf8(home.ok(&["names", "--json"]).out).unwrap();
    assert_eq!(json.lines().next(), Some(r#"{"name":"a/Ü x"}"#));

    let refused = publish("new", "b", &[]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("exists already") && refused.err.contains("--force"), "{}", refused.err);
    let cat = || home.ok(&["cat", "--name", "b", "--key-file", "key"]).out;
    assert!(cat() == home.read("old"));
    assert_eq!(publish("new", "b", &["--force"]).code, 0);
    assert!(cat() == home.read("new"));

    home.ok(&["rm-name", "b"]);
    assert_eq!(names(&home), ["a/Ü x"]);
    home.fails_with_hint(3, &["rm-name", "b"], "no name 'b'", "selfenc names");
    home.fails_with_hint(3, &["cat", "--name", "b", "--key-file", "key"], "no name 'b'", "--store");
    assert_eq!(publish("old", "b", &[]).code, 0, "a removed name is free again");
    assert!(cat() == home.read("old"));
}

#[test]
fn a_sealed_map_file_needs_its_key() {
    let home = Home::new();
    let data = random(10_000, 4);
    home.write("data", &data);
    home.ok(&["keygen", "-o", "key"]);
    home.ok(&["keygen", "-o", "other"]);
    home.ok(&["encrypt", "data", "--key-file", "key"]);
    assert!(home.ok(&["cat", "data.selfenc", "--key-file", "key"]).out == data);

    let told = String::from_utf8(home.ok(&["info", "data.selfenc"]).out).unwrap();
    assert!(told.contains("sealed") && !told.contains("10000"), "{told}");
    assert_eq!(home.json(&["info", "data.selfenc", "--json"])["sealed"], true);
    home.fails_with_hint(1, &["cat", "data.selfenc"], "sealed", "--key-file");
    home.fails_with_hint(1, &["info", "data.selfenc", "--chunks"], "sealed", "--key-file");
    home.fails_with_hint(1, &["cat", "data.selfenc", "--key-file", "other"], "does not open", "--key-file");

    // A key insists: a bare map put in the sealed one's place is not believed.
    home.ok(&["encrypt", "data", "-o", "bare"]);
    home.fails_with_hint(1, &["cat", "bare", "--key-file", "key"], "not sealed", "leave out");
}

#[test]
fn a_name_needs_a_key_and_a_decrypted_file_needs_a_name() {
    let home = Home::new();
    home.write("data", "x");
    home.fails(2, &["encrypt", "data", "--name", "n"]);
    home.fails(2, &["encrypt", "data", "--name", "", "--key-file", "key"]);
    home.fails(2, &["cat", "--name", "n"]);
    home.fails(2, &["cat", "map", "--name", "n", "--key-file", "key"]);
    home.fails_with_hint(2, &["decrypt", "--name", "n", "--key-file", "key"], "file's name", "-o");
}
