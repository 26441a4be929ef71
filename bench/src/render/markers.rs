//! The parts of a document that a program writes.

use selfenc_bench::Result;

/// Puts each text between the two markers of its name, and leaves the rest as it is.
///
/// # Errors
/// If a marker is missing, is there twice, or ends before it begins.
pub(crate) fn replace(document: &str, parts: &[(&str, String)]) -> Result<String> {
    parts.iter().try_fold(document.to_owned(), |document, (name, text)| one(&document, name, text))
}

fn one(document: &str, name: &str, text: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- bench: begin {name} -->"), format!("<!-- bench: end {name} -->"));
    let (start, stop) = (line(document, &begin)?, line(document, &end)?);
    let inside = start + begin.len();
    if stop < inside {
        return Err(format!("'{end}' comes before '{begin}'").into());
    }
    Ok(format!("{}\n{}\n{}", &document[..inside], text.trim_end(), &document[stop..]))
}

/// Where the only line is that is this marker.
fn line(document: &str, marker: &str) -> Result<usize> {
    let mut found = document.match_indices(marker).map(|(at, _)| at).filter(|at| {
        let (before, after) = (&document[..*at], &document[at + marker.len()..]);
        (before.is_empty() || before.ends_with('\n')) && (after.is_empty() || after.starts_with('\n'))
    });
    match (found.next(), found.next()) {
        (Some(at), None) => Ok(at),
        (None, _) => Err(format!("there is no line '{marker}'; add it where its table belongs").into()),
        (Some(_), Some(_)) => Err(format!("the line '{marker}' is there twice").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "before\n<!-- bench: begin a -->\nold\n<!-- bench: end a -->\nbetween\n\
                            <!-- bench: begin b -->\n<!-- bench: end b -->\n";

    #[test]
    fn what_is_between_markers_is_replaced_and_nothing_else() {
        let parts = [("b", "2".to_owned()), ("a", "| 1 |\n".to_owned())];
        let rendered = replace(DOCUMENT, &parts).unwrap();
        let expected = "before\n<!-- bench: begin a -->\n| 1 |\n<!-- bench: end a -->\nbetween\n\
                        <!-- bench: begin b -->\n2\n<!-- bench: end b -->\n";
        assert_eq!(rendered, expected);
        assert_eq!(replace(&rendered, &parts).unwrap(), rendered, "a second time changes nothing");
    }

    #[test]
    fn a_wrong_marker_is_named() {
        let error =
            |document: &str, name| replace(document, &[(name, String::new())]).unwrap_err().to_string();
        assert!(error(DOCUMENT, "c").contains("<!-- bench: begin c -->"));
        let no_end = DOCUMENT.replace("<!-- bench: end a -->", "");
        assert!(error(&no_end, "a").contains("<!-- bench: end a -->"));
        assert!(error(&DOCUMENT.repeat(2), "a").contains("twice"));
        let turned = "<!-- bench: end a -->\n<!-- bench: begin a -->\n";
        assert!(error(turned, "a").contains("before"));
        assert!(error("text <!-- bench: begin a -->\n<!-- bench: end a -->", "a").contains("no line"));
    }
}
