//! The README's table of the stores: made from the reports in `docs/conformance`, and nothing else.

use std::fs;
use std::path::PathBuf;

use selfenc_backend_tests::{CASES, Report};

use super::{GRAPH, assert_none, files};

const BEGIN: &str = "<!-- conformance: begin -->\n";
const END: &str = "<!-- conformance: end -->";

/// Where the command stands that makes the reports and the table anew.
const REMEDY: &str = "run the commands that README.md has under 'What each store keeps'";

/// The reports, in the order of their files' names.
fn reports() -> Vec<Report> {
    let folder = GRAPH.root.join("docs/conformance");
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}; {REMEDY}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    let report = |path: &PathBuf| {
        Report::from_json(&files::read(path)).unwrap_or_else(|e| panic!("{}: {e}; {REMEDY}", path.display()))
    };
    paths.iter().map(report).collect()
}

/// What is before the table in the README, the table, and what is after it.
fn split(readme: &str) -> (&str, &str, &str) {
    let (before, rest) = readme.split_once(BEGIN).expect("README.md has the mark where the table begins");
    let (table, after) = rest.split_once(END).expect("README.md has the mark where the table ends");
    (before, table, after)
}

/// What is wrong with a report as a witness for the table.
fn problems(report: &Report) -> Vec<String> {
    let of_the_list: Vec<_> = CASES.iter().map(selfenc_backend_tests::Case::full_name).collect();
    let of_the_report: Vec<_> = report.rows.iter().map(|row| row.case.clone()).collect();
    let old = of_the_list != of_the_report;
    let store = &report.store;
    let mut found = Vec::new();
    if old {
        found.push(format!("the report of {store} is of another list of cases; {REMEDY}"));
    }
    if !report.is_ok() {
        found.push(format!("the report of {store} says that it fails; mend it, then {REMEDY}"));
    }
    found
}

#[test]
fn the_readme_has_the_table_of_the_reports() {
    let readme = files::read(&GRAPH.root.join("README.md"));
    assert!(
        split(&readme).1 == Report::table(&reports()),
        "the README's table is not that of the reports; {REMEDY}"
    );
}

#[test]
fn the_reports_are_of_this_suite_and_good() {
    let reports = reports();
    for backend in super::backends() {
        let name = backend.name.strip_prefix("selfenc-").unwrap();
        let is_of = |report: &Report| {
            report.store.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        assert!(reports.iter().any(is_of), "there is no report of {}; {REMEDY}", backend.name);
    }
    assert_none(reports.iter().flat_map(problems));
}

#[test]
fn a_report_that_is_old_or_bad_is_seen() {
    let mut old = reports().swap_remove(0);
    old.rows.pop();
    assert!(problems(&old)[0].contains("another list"));
    let mut bad = reports().swap_remove(0);
    bad.rows[0].status = selfenc_backend_tests::Status::Failed;
    assert!(problems(&bad)[0].contains("it fails"));
}

#[test]
#[ignore = "writes README.md"]
fn write_table() {
    let path = GRAPH.root.join("README.md");
    let readme = files::read(&path);
    let (before, _, after) = split(&readme);
    fs::write(path, format!("{before}{BEGIN}{}{END}{after}", Report::table(&reports()))).unwrap();
}

/// The page shows the example as it is.
#[test]
fn the_page_on_backends_shows_the_example() {
    let page = files::read(&GRAPH.root.join("docs/write-a-backend.md"));
    let example = files::read(&GRAPH.root.join("examples/examples/custom_backend.rs"));
    let (_, rest) = page.split_once("```rust,no_run\n").expect("the page has the example");
    let (shown, _) = rest.split_once("```\n").expect("it ends");
    assert!(shown.len() > 1000 && example.ends_with(shown), "docs/write-a-backend.md shows another example");
}
